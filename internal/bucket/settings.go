package bucket

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/johannesboyne/gofakes3"
)

// settingsDir has a folder a bucket, and in it a file a setting, in an object's form.
const settingsDir = "settings"

// maxSetting is the longest setting, in bytes; S3's own limit for policies is 20 KB.
const maxSetting = 1 << 20

const space = ` xmlns="http://s3.amazonaws.com/doc/2006-03-01/"`

// unset is what S3 answers for a setting that a bucket has not: a code, or a document.
type unset struct{ code, document string }

// settings are those of buckets that are kept as they were put, by their name in the query.
// They are given back and change nothing: tools read what they have set.
var settings = map[string]unset{
	"accelerate":        {document: "<AccelerateConfiguration" + space + "/>"},
	"acl":               {document: ownersACL},
	"cors":              {code: "NoSuchCORSConfiguration"},
	"encryption":        {code: "ServerSideEncryptionConfigurationNotFoundError"},
	"lifecycle":         {code: "NoSuchLifecycleConfiguration"},
	"logging":           {document: "<BucketLoggingStatus" + space + "/>"},
	"notification":      {document: "<NotificationConfiguration" + space + "/>"},
	"object-lock":       {code: "ObjectLockConfigurationNotFoundError"},
	"ownershipControls": {code: "OwnershipControlsNotFoundError"},
	"policy":            {code: "NoSuchBucketPolicy"},
	"publicAccessBlock": {code: "NoSuchPublicAccessBlockConfiguration"},
	"replication":       {code: "ReplicationConfigurationNotFoundError"},
	"requestPayment":    {document: "<RequestPaymentConfiguration" + space + "><Payer>BucketOwner</Payer></RequestPaymentConfiguration>"},
	"tagging":           {code: "NoSuchTagSet"},
	"versioning":        {document: "<VersioningConfiguration" + space + "/>"},
	"website":           {code: "NoSuchWebsiteConfiguration"},
}

const ownersACL = `<AccessControlPolicy` + space + `><Owner><ID>owner</ID></Owner><AccessControlList><Grant>` +
	`<Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser"><ID>owner</ID></Grantee>` +
	`<Permission>FULL_CONTROL</Permission></Grant></AccessControlList></AccessControlPolicy>`

// relied are settings that people rely on to have something done, which is not done here: a value of theirs is refused.
var relied = map[string]string{
	"notification": "nothing is called when objects are put or deleted",
	"object-lock":  "no object is locked",
	"replication":  "objects are copied nowhere",
}

// others are parts of buckets and objects that S3 has and there are none of here. A request for one is never taken for one
// for the bucket or the object itself.
var others = []string{
	"abac", "analytics", "attributes", "encryption", "intelligent-tiering", "inventory", "legal-hold", "metadataConfiguration", "metadataTable", "metrics", "policyStatus",
	"renameObject", "restore", "retention", "select", "session", "torrent",
}

// transition is the one header that is a part of a setting: of lifecycle.
const transition = "X-Amz-Transition-Default-Minimum-Object-Size"

// part answers a request for a part of a bucket or an object, and reports whether it is one.
func (s *Service) part(w http.ResponseWriter, r *http.Request, bucket, key string) bool {
	query := r.URL.Query()
	if bucket == "" {
		return false
	}
	if key == "" {
		switch {
		case query.Has("location") && r.Method == http.MethodGet:
			write(w, http.StatusOK, "<LocationConstraint"+space+"/>")
			return true
		case query.Has("versions") && r.Method == http.MethodGet:
			answer(w, s.versions(w, bucket, query))
			return true
		}
		for name, none := range settings {
			if query.Has(name) {
				answer(w, s.setting(w, r, bucket, name, none))
				return true
			}
		}
	} else {
		switch {
		case query.Has("tagging"):
			answer(w, s.objectTags(w, r, bucket, key))
			return true
		case query.Has("acl"):
			answer(w, s.objectACL(w, r, bucket, key))
			return true
		}
	}
	for _, name := range others {
		if query.Has(name) {
			fail(w, http.StatusNotImplemented, "NotImplemented", "Millstream has no "+name+" of buckets and objects.")
			return true
		}
	}
	return false
}

// answer tells an error in S3's form.
func answer(w http.ResponseWriter, err error) {
	if err == nil {
		return
	}
	var told interface{ ErrorCode() gofakes3.ErrorCode }
	if !errors.As(err, &told) {
		fail(w, http.StatusInternalServerError, "InternalError", err.Error())
		return
	}
	status := told.ErrorCode().Status()
	switch told.ErrorCode() { // which gofakes3 has others for
	case tooLarge:
		status = http.StatusBadRequest
	case gofakes3.ErrMethodNotAllowed:
		status = http.StatusMethodNotAllowed
	}
	message := err.Error()
	if code, own, ok := strings.Cut(message, ": "); ok && code == string(told.ErrorCode()) {
		message = own
	}
	fail(w, status, string(told.ErrorCode()), message)
}

const tooLarge gofakes3.ErrorCode = "EntityTooLarge"

// setting gets, puts or deletes a setting of a bucket.
func (s *Service) setting(w http.ResponseWriter, r *http.Request, bucket, name string, none unset) error {
	if err := s.backend.find(bucket); err != nil {
		return err
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		value, meta, err := s.backend.setting(bucket, name)
		switch {
		case errors.Is(err, fs.ErrNotExist) && none.code != "":
			fail(w, http.StatusNotFound, none.code, "The bucket has no such configuration")
			return nil
		case errors.Is(err, fs.ErrNotExist):
			value = []byte(xml.Header + none.document)
		case err != nil:
			return err
		}
		w.Header().Set("Content-Type", "application/xml")
		if name == "policy" {
			w.Header().Set("Content-Type", "application/json")
		}
		if size := meta[transition]; size != "" {
			w.Header().Set(transition, size)
		}
		_, _ = w.Write(value) // the caller has gone: there is nobody to tell
		return nil
	case http.MethodDelete:
		if err := s.backend.dropSetting(bucket, name); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	case http.MethodPut:
		value, err := readSetting(w, r)
		if err != nil {
			return err
		}
		meta := map[string]string{}
		if name == "lifecycle" {
			meta[transition] = cmp.Or(r.Header.Get(transition), "all_storage_classes_128K")
			w.Header().Set(transition, meta[transition])
		}
		switch why, refused := relied[name]; {
		case name == "acl" && len(value) == 0: // it is in a header
			return nil
		case name == "policy":
		case !wellFormed(value):
			return gofakes3.ErrorMessage(gofakes3.ErrMalformedXML, "The XML you provided was not well-formed or did not validate against our published schema")
		case refused && hasMembers(value):
			return gofakes3.ErrorMessage(gofakes3.ErrNotImplemented, "Millstream has no "+name+" of buckets: "+why)
		}
		if err := s.backend.putSetting(bucket, name, value, meta); err != nil {
			return err
		}
		if name == "versioning" && enabled(value) {
			s.logger.Warn("a bucket was given versions, which are not kept: what is put or deleted takes the place of what was there", "bucket", bucket)
		}
		if name == "policy" || name == "tagging" {
			w.WriteHeader(http.StatusNoContent)
		}
		return nil
	}
	return gofakes3.ErrMethodNotAllowed
}

// readSetting reads a request's body.
func readSetting(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	value, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxSetting))
	var long *http.MaxBytesError
	switch {
	case errors.As(err, &long):
		return nil, gofakes3.ErrorMessage(tooLarge, fmt.Sprintf("Millstream keeps settings of at most %d bytes", maxSetting))
	case err != nil:
		return nil, gofakes3.ErrorMessage(gofakes3.ErrIncompleteBody, err.Error())
	}
	return value, nil
}

func wellFormed(document []byte) bool { return xml.Unmarshal(document, new(struct{})) == nil }

// hasMembers reports whether a document's root has elements in it.
func hasMembers(document []byte) bool {
	var root struct {
		Members []struct{} `xml:",any"`
	}
	return xml.Unmarshal(document, &root) != nil || len(root.Members) > 0
}

// enabled reports whether a VersioningConfiguration turns versions on.
func enabled(document []byte) bool {
	var is struct{ Status string }
	return xml.Unmarshal(document, &is) == nil && strings.TrimSpace(is.Status) == "Enabled"
}

// locks refuses a request that would lock objects, which nothing here would keep to, and reports whether it is one.
func locks(w http.ResponseWriter, r *http.Request, key string) bool {
	switch {
	case key == "" && r.Method == http.MethodPut && strings.EqualFold(r.Header.Get("X-Amz-Bucket-Object-Lock-Enabled"), "true"):
		fail(w, http.StatusNotImplemented, "NotImplemented", "Millstream has no object-lock of buckets: "+relied["object-lock"])
	case key != "" && (r.Header.Get("X-Amz-Object-Lock-Mode") != "" || r.Header.Get("X-Amz-Object-Lock-Retain-Until-Date") != "" || r.Header.Get("X-Amz-Object-Lock-Legal-Hold") != ""):
		fail(w, http.StatusBadRequest, "InvalidRequest", "Bucket is missing Object Lock Configuration")
	default:
		return false
	}
	return true
}

func settingPlace(bucket, name string) string { return path.Join(settingsDir, bucket, name) }

// setting reads a setting of a bucket. The error is fs.ErrNotExist when it has none.
func (b *backend) setting(bucket, name string) ([]byte, map[string]string, error) {
	file, o, err := readObject(b.fs, settingPlace(bucket, name))
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	value, err := io.ReadAll(io.NewSectionReader(file, 0, o.size))
	return value, o.Meta, err
}

// putSetting keeps a setting of a bucket. It is on the disk on return.
func (b *backend) putSetting(bucket, name string, value []byte, meta map[string]string) error {
	file, err := b.write(object{Bucket: bucket, Key: name, Meta: meta}, bytes.NewReader(value))
	if err != nil {
		return err
	}
	defer b.discard(file)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.find(bucket); err != nil { // deleted meanwhile
		return err
	}
	at := settingPlace(bucket, name)
	if err := b.fs.MkdirAll(path.Dir(at), 0o700); err != nil {
		return err
	}
	if err := b.fs.Rename(file.Name(), at); err != nil {
		return err
	}
	return syncFolder(b.fs, path.Dir(at))
}

// dropSetting removes a setting; one that is not there is no error.
func (b *backend) dropSetting(bucket, name string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := settingPlace(bucket, name)
	if err := b.fs.Remove(at); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	return syncFolder(b.fs, path.Dir(at))
}

// tagSet is the document of tags.
type tagSet struct {
	XMLName xml.Name `xml:"Tagging"`
	Space   string   `xml:"xmlns,attr,omitempty"`
	Tags    []struct {
		Key   string
		Value string
	} `xml:"TagSet>Tag"`
}

// objectTagging is the header of a put that has an object's tags, and where they are kept: with what was sent with it.
const objectTagging = "X-Amz-Tagging"

// objectTags gets, puts or deletes the tags of an object.
func (s *Service) objectTags(w http.ResponseWriter, r *http.Request, bucket, key string) error {
	switch r.Method {
	case http.MethodGet:
		o, err := s.backend.HeadObject(bucket, key)
		if err != nil {
			return err
		}
		tags, err := url.ParseQuery(o.Metadata[objectTagging])
		if err != nil {
			return gofakes3.ErrorMessage(gofakes3.ErrInternal, "the object's tags cannot be read: "+err.Error())
		}
		var b strings.Builder
		b.WriteString("<Tagging" + space + "><TagSet>")
		for _, name := range slices.Sorted(maps.Keys(tags)) {
			b.WriteString("<Tag><Key>")
			_ = xml.EscapeText(&b, []byte(name)) // a Builder takes everything
			b.WriteString("</Key><Value>")
			_ = xml.EscapeText(&b, []byte(tags.Get(name)))
			b.WriteString("</Value></Tag>")
		}
		write(w, http.StatusOK, b.String()+"</TagSet></Tagging>")
		return nil
	case http.MethodPut:
		body, err := readSetting(w, r)
		if err != nil {
			return err
		}
		var set tagSet
		if err := xml.Unmarshal(body, &set); err != nil {
			return gofakes3.ErrorMessage(gofakes3.ErrMalformedXML, err.Error())
		}
		tags := url.Values{}
		for _, t := range set.Tags {
			tags.Set(t.Key, t.Value)
		}
		return s.backend.retag(bucket, key, tags.Encode())
	case http.MethodDelete:
		if err := s.backend.retag(bucket, key, ""); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	return gofakes3.ErrMethodNotAllowed
}

// objectACL answers for the access list of an object, which is its owner's and stays so.
func (s *Service) objectACL(w http.ResponseWriter, r *http.Request, bucket, key string) error {
	if _, err := s.backend.HeadObject(bucket, key); err != nil {
		return err
	}
	switch r.Method {
	case http.MethodGet:
		write(w, http.StatusOK, ownersACL)
		return nil
	case http.MethodPut:
		return nil
	}
	return gofakes3.ErrMethodNotAllowed
}

// retag writes an object anew with other tags, and the time that it had. Others go on meanwhile: if the object is another one when
// that is done, it is begun again.
func (b *backend) retag(bucket, key, tags string) error {
	for {
		if again, err := b.retagOnce(bucket, key, tags); !again || err != nil {
			return err
		}
	}
}

func (b *backend) retagOnce(bucket, key, tags string) (again bool, err error) {
	from, was, err := b.read(bucket, key)
	if err != nil {
		return false, err
	}
	defer from.Close()
	o := was
	if o.Meta = maps.Clone(was.Meta); o.Meta == nil {
		o.Meta = map[string]string{}
	}
	delete(o.Meta, objectTagging)
	if tags != "" {
		o.Meta[objectTagging] = tags
	}
	file, err := b.write(o, io.NewSectionReader(from, 0, was.size))
	if err != nil {
		return false, err
	}
	defer b.discard(file)
	b.mu.Lock()
	defer b.mu.Unlock()
	now, is, err := b.read(bucket, key)
	if err != nil {
		return false, err
	}
	_ = now.Close() // it was read only
	if !is.At.Equal(was.At) || !bytes.Equal(is.MD5, was.MD5) || !maps.Equal(is.Meta, was.Meta) {
		return true, nil
	}
	return false, b.stand(file, bucket, key, nil)
}

// versions lists the objects of a bucket as versions, of which there is one of each.
func (s *Service) versions(w http.ResponseWriter, bucket string, query url.Values) error {
	page := gofakes3.ListBucketPage{MaxKeys: 1000, Marker: query.Get("key-marker"), HasMarker: query.Has("key-marker")}
	if text := query.Get("max-keys"); text != "" {
		if _, err := fmt.Sscan(text, &page.MaxKeys); err != nil || page.MaxKeys < 1 {
			return gofakes3.ErrorMessage(gofakes3.ErrInvalidArgument, "max-keys must be a number of at least 1")
		}
		page.MaxKeys = min(page.MaxKeys, 1000)
	}
	prefix := &gofakes3.Prefix{Prefix: query.Get("prefix"), HasPrefix: query.Has("prefix"), Delimiter: query.Get("delimiter"), HasDelimiter: query.Get("delimiter") != ""}
	list, err := s.backend.ListBucket(bucket, prefix, page)
	if err != nil {
		return err
	}
	type version struct {
		Key, VersionId, LastModified, ETag string
		IsLatest                           bool
		Size                               int64
		StorageClass                       string
	}
	out := struct {
		XMLName                                xml.Name `xml:"ListVersionsResult"`
		Space                                  string   `xml:"xmlns,attr"`
		Name, Prefix, KeyMarker, NextKeyMarker string
		NextVersionIdMarker, Delimiter         string `xml:",omitempty"`
		MaxKeys                                int64
		IsTruncated                            bool
		Version                                []version
		CommonPrefixes                         []struct{ Prefix string }
	}{
		Space: "http://s3.amazonaws.com/doc/2006-03-01/", Name: bucket, Prefix: prefix.Prefix, KeyMarker: page.Marker, Delimiter: prefix.Delimiter, MaxKeys: page.MaxKeys, IsTruncated: list.IsTruncated,
	}
	if list.IsTruncated {
		out.NextKeyMarker, out.NextVersionIdMarker = list.NextMarker, "null"
	}
	for _, o := range list.Contents {
		out.Version = append(out.Version, version{o.Key, "null", o.LastModified.UTC().Format("2006-01-02T15:04:05.000Z"), o.ETag, true, o.Size, "STANDARD"})
	}
	for _, p := range list.CommonPrefixes {
		out.CommonPrefixes = append(out.CommonPrefixes, struct{ Prefix string }{p.Prefix})
	}
	text, err := xml.Marshal(out)
	if err == nil {
		write(w, http.StatusOK, string(text))
	}
	return err
}
