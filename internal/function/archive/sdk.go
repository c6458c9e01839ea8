package archive

import (
	"bytes"
	"cmp"
	"debug/buildinfo"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Supply is what the machine gives to functions whose packages lack it.
type Supply struct {
	Modules []string // folders of packages of Node.js, first to last
	Boto3   string   // the version of boto3 that the interpreter of Python has; empty: none
	Gems    []string // folders of gems
}

// OldSDK looks for an AWS SDK that does not know AWS_ENDPOINT_URL, so that what it calls is the real AWS, with credentials that are made up.
// It looks in unpacked packages, that of a function first and then those of its layers, the last first, and, where the function's own code
// names an SDK that is in none of them, in what the machine supplies. It returns which SDK it is and what to change, or "".
func OldSDK(runtime string, packages []string, supply Supply) string {
	switch {
	case strings.HasPrefix(runtime, "nodejs"):
		return oldNode(packages, supply)
	case strings.HasPrefix(runtime, "python"):
		return oldPython(packages, supply)
	case strings.HasPrefix(runtime, "java"):
		return oldJava(packages)
	case strings.HasPrefix(runtime, "ruby"):
		return oldRuby(packages, supply)
	case strings.HasPrefix(runtime, "provided"):
		return oldGo(packages)
	}
	return ""
}

const (
	cureNode2 = "@aws-sdk/client-dynamodb and its like (version 3), or give each client the option endpoint: process.env.AWS_ENDPOINT_URL_DYNAMODB"
	cureNode3 = "version 3.428.0 or later of its packages, or give each client the option endpoint: process.env.AWS_ENDPOINT_URL_DYNAMODB"
	cureBoto  = "1.28.0 or later, or give each client the argument endpoint_url=os.environ[\"AWS_ENDPOINT_URL_DYNAMODB\"]"
	cureJava1 = "version 2, or give each client withEndpointConfiguration of AWS_ENDPOINT_URL_DYNAMODB"
	cureJava2 = "2.28.1 or later, or give each client the endpointOverride of AWS_ENDPOINT_URL_DYNAMODB"
	cureRuby  = "aws-sdk-core 3.178.0 or later, or give each client the option endpoint: ENV['AWS_ENDPOINT_URL_DYNAMODB']"
	cureGo1   = "github.com/aws/aws-sdk-go-v2, or give each session the Endpoint of AWS_ENDPOINT_URL_DYNAMODB"
	cureGo2   = "github.com/aws/aws-sdk-go-v2 1.23.0 or later, or give each client the BaseEndpoint of AWS_ENDPOINT_URL_DYNAMODB"
)

func note(sdk, cure string) string {
	return sdk + " does not know AWS_ENDPOINT_URL: what it calls is the real AWS and not this server. Use " + cure + "."
}

// below are the folders of those names that are below any of some folders; names may be patterns.
func below(folders []string, names ...string) (found []string) {
	for _, folder := range folders {
		for _, name := range names {
			match, _ := filepath.Glob(filepath.Join(quoted(folder), filepath.FromSlash(name))) // the patterns are well-formed
			found = append(found, match...)
		}
	}
	return found
}

// quoted is a path as a pattern that matches itself.
func quoted(path string) string {
	return regexp.MustCompile(`[*?[\\]`).ReplaceAllString(path, `\$0`)
}

var (
	bundledNode2 = regexp.MustCompile(`VERSION:\s*["'](2\.\d+\.\d+)["']`)
	bundledNode3 = regexp.MustCompile(`name:\s*"@aws-sdk/client-[a-z0-9-]+",\s*description:\s*"[^"]*",\s*version:\s*"(3\.\d+\.\d+)"`)
	namesNode2   = regexp.MustCompile(`["']aws-sdk["'/]`)
)

func oldNode(packages []string, supply Supply) string {
	modules := below(packages, "node_modules", "nodejs/node_modules", "nodejs/node*/node_modules")
	if v := version2(modules); v != "" {
		return note("AWS SDK for JavaScript "+v, cureNode2)
	}
	if v := version3(modules); v != "" {
		return note("AWS SDK for JavaScript "+v, cureNode3)
	}
	bundled, named := "", false
	eachSource(packages, []string{".js", ".mjs", ".cjs"}, func(text []byte) bool {
		named = named || namesNode2.Match(text)
		if m := bundledNode2.FindSubmatch(text); m != nil && bytes.Contains(text, []byte("aws-sdk-")) {
			bundled = note("AWS SDK for JavaScript "+string(m[1]), cureNode2)
		} else if m := bundledNode3.FindSubmatch(text); m != nil && !bytes.Contains(text, []byte("AWS_ENDPOINT_URL")) {
			bundled = note("AWS SDK for JavaScript "+string(m[1]), cureNode3)
		}
		return bundled == ""
	})
	if v := version2(supply.Modules); bundled == "" && named && v != "" {
		return note("AWS SDK for JavaScript "+v+" of this machine, which the package lacks,", cureNode2)
	}
	return bundled
}

// version2 is the version of the SDK for JavaScript, version 2, that is first found in folders of modules.
func version2(modules []string) string {
	for _, folder := range modules {
		if v := packageVersion(filepath.Join(folder, "aws-sdk", "package.json")); v != "" {
			return v
		}
	}
	return ""
}

// version3 is the version of clients of version 3 in folders of modules, when that and what finds their endpoints are too old.
func version3(modules []string) string {
	for _, folder := range modules {
		if v := packageVersion(filepath.Join(folder, "@smithy", "middleware-endpoint", "package.json")); v != "" && !before(v, "2.1.0") {
			continue
		}
		for _, client := range below([]string{folder}, "@aws-sdk/client-*") {
			if v := packageVersion(filepath.Join(client, "package.json")); v != "" && before(v, "3.428.0") {
				return v
			}
		}
	}
	return ""
}

var (
	botoVersion = regexp.MustCompile(`(?m)^__version__ = ['"]([0-9.]+)['"]`)
	namesBoto   = regexp.MustCompile(`(?m)^\s*(import|from)\s+(boto3|botocore|aioboto3|aiobotocore)\b`)
)

func oldPython(packages []string, supply Supply) string {
	folders := slices.Concat(packages, below(packages, "python", "python/lib/python*/site-packages"))
	has := false
	for _, sdk := range []struct{ module, since, cure string }{{"boto3", "1.28.0", "boto3 " + cureBoto}, {"botocore", "1.31.0", "botocore 1.31.0, that of boto3 " + cureBoto}} {
		v := pythonVersion(folders, sdk.module)
		has = has || v != ""
		if v != "" && before(v, sdk.since) {
			return note(sdk.module+" "+v, sdk.cure)
		}
	}
	if has || supply.Boto3 == "" || !before(supply.Boto3, "1.28.0") {
		return ""
	}
	named := false
	eachSource(packages, []string{".py"}, func(text []byte) bool { named = namesBoto.Match(text); return !named })
	if !named {
		return ""
	}
	return note("boto3 "+supply.Boto3+" of this machine's Python, which the package lacks,", "boto3 "+cureBoto)
}

// pythonVersion is the version of a module that is first found in some folders.
func pythonVersion(folders []string, module string) string {
	for _, folder := range folders {
		if text, err := os.ReadFile(filepath.Join(folder, module, "__init__.py")); err == nil {
			if m := botoVersion.FindSubmatch(text); m != nil {
				return string(m[1])
			}
		}
		for _, f := range below([]string{folder}, module+"-*.dist-info", module+"-*.egg-info") {
			v, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(f), module+"-"), "-py") // of eggs, with Python's version
			return strings.TrimSuffix(strings.TrimSuffix(v, ".dist-info"), ".egg-info")
		}
	}
	return ""
}

func oldJava(packages []string) string {
	folders := slices.Concat(packages, below(packages, "lib", "java/lib"))
	one := jarVersion(folders, "aws-java-sdk-core", "com.amazonaws")
	if one != "" {
		return note("AWS SDK for Java "+one, cureJava1)
	}
	if two := jarVersion(folders, "aws-core", "software.amazon.awssdk"); two != "" && before(two, "2.28.1") {
		return note("AWS SDK for Java "+two, cureJava2)
	}
	return ""
}

// jarVersion is the version of a jar in some folders, or of one that was unpacked there.
func jarVersion(folders []string, artifact, group string) string {
	for _, folder := range folders {
		for _, f := range below([]string{folder}, artifact+"-[0-9]*.jar") {
			return strings.TrimSuffix(strings.TrimPrefix(filepath.Base(f), artifact+"-"), ".jar")
		}
		text, err := os.ReadFile(filepath.Join(folder, "META-INF", "maven", group, artifact, "pom.properties"))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			if v, is := strings.CutPrefix(strings.TrimSpace(line), "version="); is {
				return v
			}
		}
	}
	return ""
}

var namesRuby = regexp.MustCompile(`(?m)^\s*require\s*\(?\s*["']aws-sdk`)

func oldRuby(packages []string, supply Supply) string {
	v := gemVersion(below(packages, "vendor/bundle/ruby/*", "ruby/gems/*"))
	where := ""
	if v == "" {
		named := false
		eachSource(packages, []string{".rb"}, func(text []byte) bool { named = namesRuby.Match(text); return !named })
		if !named {
			return ""
		}
		v, where = gemVersion(supply.Gems), " of this machine, which the package lacks,"
	}
	if v == "" || !before(v, "3.178.0") {
		return ""
	}
	return note("aws-sdk-core "+v+where, cureRuby)
}

// gemVersion is the newest version of the SDK's core in folders of gems.
func gemVersion(folders []string) (newest string) {
	for _, f := range below(folders, "gems/aws-sdk-core-*") {
		if v := strings.TrimPrefix(filepath.Base(f), "aws-sdk-core-"); newest == "" || before(newest, v) {
			newest = v
		}
	}
	return newest
}

func oldGo(packages []string) string {
	for _, folder := range packages {
		info, err := buildinfo.ReadFile(filepath.Join(folder, "bootstrap"))
		if err != nil {
			continue
		}
		for _, d := range info.Deps {
			switch v := strings.TrimPrefix(d.Version, "v"); {
			case d.Path == "github.com/aws/aws-sdk-go":
				return note("AWS SDK for Go "+v, cureGo1)
			case d.Path == "github.com/aws/aws-sdk-go-v2" && before(v, "1.23.0"):
				return note("AWS SDK for Go "+v, cureGo2)
			}
		}
	}
	return ""
}

// maxSources bounds how much of a package's own code is read, in bytes.
const maxSources = 32 << 20

// eachSource gives the files with some endings to yield, but what others wrote that lies beside them, until it returns false or enough
// was read.
func eachSource(packages, endings []string, yield func(text []byte) bool) {
	left := int64(maxSources)
	for _, folder := range packages {
		err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return nil //nolint:nilerr // what cannot be read is not looked at
			case d.IsDir() && slices.Contains([]string{"node_modules", "vendor", "boto3", "botocore", "site-packages"}, d.Name()):
				return fs.SkipDir
			case !d.Type().IsRegular() || !slices.Contains(endings, filepath.Ext(path)):
				return nil
			}
			st, err := d.Info()
			if err != nil || st.Size() > left {
				return nil //nolint:nilerr // as above
			}
			left -= st.Size()
			text, err := os.ReadFile(path)
			if err == nil && !yield(text) {
				return fs.SkipAll
			}
			return nil
		})
		if err != nil {
			return
		}
	}
}

// packageVersion reads the version out of a package.json.
func packageVersion(file string) string {
	b, err := os.ReadFile(file)
	var d struct{ Version string }
	if err != nil || json.Unmarshal(b, &d) != nil {
		return ""
	}
	return d.Version
}

// before compares versions by their numbers; of what is no release nothing is known.
func before(a, b string) bool {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(as), len(bs)) {
		x, errA := strconv.Atoi(as[i])
		y, errB := strconv.Atoi(bs[i])
		if errA != nil || errB != nil {
			return false
		}
		if c := cmp.Compare(x, y); c != 0 {
			return c < 0
		}
	}
	return len(as) < len(bs)
}
