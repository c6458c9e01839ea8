package bundle

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/evanw/esbuild/pkg/api"
)

var (
	targets = map[string]api.Target{
		"esnext": api.ESNext, "es6": api.ES2015, "es2015": api.ES2015, "es2016": api.ES2016, "es2017": api.ES2017, "es2018": api.ES2018,
		"es2019": api.ES2019, "es2020": api.ES2020, "es2021": api.ES2021, "es2022": api.ES2022, "es2023": api.ES2023, "es2024": api.ES2024,
	}
	nodeTarget = regexp.MustCompile(`^node(\d+(?:\.\d+){0,2})$`)
	formats    = map[string]api.Format{"cjs": api.FormatCommonJS, "esm": api.FormatESModule}
	loaders    = map[string]api.Loader{
		"base64": api.LoaderBase64, "binary": api.LoaderBinary, "copy": api.LoaderCopy, "css": api.LoaderCSS, "dataurl": api.LoaderDataURL,
		"default": api.LoaderDefault, "empty": api.LoaderEmpty, "file": api.LoaderFile, "js": api.LoaderJS, "json": api.LoaderJSON,
		"jsx": api.LoaderJSX, "text": api.LoaderText, "ts": api.LoaderTS, "tsx": api.LoaderTSX,
	}
)

// requireInModules gives bundles of ES modules the `require` that packages in them may call.
const requireInModules = `import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);`

// esbuild are the options as esbuild has them.
func (o *Options) esbuild() (b api.BuildOptions, err error) {
	b = api.BuildOptions{
		AbsWorkingDir: o.Dir, Outdir: o.out(), Bundle: true, Platform: api.PlatformNode,
		Sourcemap: api.SourceMapLinked, SourcesContent: api.SourcesContentExclude,
		External: o.external(), MainFields: o.MainFields, OutExtension: o.OutExtension, Define: o.Define, Banner: o.Banner, Footer: o.Footer,
		MinifyWhitespace: o.Minify, MinifyIdentifiers: o.Minify, MinifySyntax: o.Minify, KeepNames: o.KeepNames,
		Plugins: []api.Plugin{runtimeSDK},
	}
	if o.SourcesContent {
		b.SourcesContent = api.SourcesContentInclude
	}
	for _, entry := range o.Entries {
		b.EntryPoints = append(b.EntryPoints, filepath.ToSlash(filepath.Join(o.Dir, entry)))
	}
	if o.Base != "" {
		b.Outbase = filepath.Join(o.Dir, o.Base)
	}
	switch format, known := formats[o.Format]; {
	case known:
		b.Format = format
	case o.Format != "":
		return b, fmt.Errorf("Format %s: want cjs or esm", o.Format)
	case o.isModule():
		b.Format = api.FormatESModule
	default:
		b.Format = api.FormatCommonJS
	}
	if b.Format == api.FormatESModule {
		if b.OutExtension == nil { // Node.js tells modules by it
			b.OutExtension = map[string]string{".js": ".mjs"}
		}
		if b.Banner == nil {
			b.Banner = map[string]string{"js": requireInModules}
		}
	}
	if len(o.Loader) > 0 {
		b.Loader = map[string]api.Loader{}
	}
	for ext, name := range o.Loader {
		loader, known := loaders[name]
		if !known {
			return b, fmt.Errorf("Loader %s=%s: esbuild has no loader of that name", ext, name)
		}
		b.Loader[ext] = loader
	}
	return b, o.setTarget(&b)
}

func (o *Options) setTarget(b *api.BuildOptions) error {
	if o.Target == "" && o.Node != "" {
		b.Engines = []api.Engine{{Name: api.EngineNode, Version: o.Node}}
	}
	for name := range strings.SplitSeq(o.Target, ",") {
		name = strings.ToLower(strings.TrimSpace(name))
		if name == "" {
			continue
		}
		if m := nodeTarget.FindStringSubmatch(name); m != nil {
			b.Engines = append(b.Engines, api.Engine{Name: api.EngineNode, Version: m[1]})
			continue
		}
		target, known := targets[name]
		if !known {
			return fmt.Errorf("Target %s: want a year, such as es2022, or a Node.js, such as node22", name)
		}
		b.Target = target
	}
	return nil
}

// sdk are the packages of the AWS SDK, which Lambda's runtimes have and Node.js itself does not.
const sdk = `^(@aws-sdk/|@smithy/|aws-sdk($|/))`

var namesSDK = regexp.MustCompile(sdk)

// external is External without the SDK's packages: templates leave them out because AWS's runtime has them. Here runtimeSDK
// decides by whether they are installed.
func (o *Options) external() []string {
	return slices.DeleteFunc(slices.Clone(o.External), namesSDK.MatchString)
}

// runtimeSDK leaves the AWS SDK out of a bundle where it is not installed: Lambda's runtimes have it, and here functions
// find it where Node.js looks for packages on this machine.
var runtimeSDK = api.Plugin{Name: "runtime-sdk", Setup: func(build api.PluginBuild) {
	build.OnResolve(api.OnResolveOptions{Filter: sdk}, func(a api.OnResolveArgs) (r api.OnResolveResult, err error) {
		name := strings.Join(strings.SplitN(a.Path, "/", 3)[:min(2, strings.Count(a.Path, "/")+1)], "/")
		if strings.HasPrefix(name, "aws-sdk") {
			name = "aws-sdk"
		}
		for dir := a.ResolveDir; dir != ""; dir = filepath.Dir(dir) {
			if _, err := os.Stat(filepath.Join(dir, "node_modules", filepath.FromSlash(name))); err == nil {
				return r, nil // esbuild finds it
			}
			if dir == filepath.Dir(dir) {
				break
			}
		}
		return api.OnResolveResult{Path: a.Path, External: true}, nil
	})
}}
