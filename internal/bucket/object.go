package bucket

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/spf13/afero"
)

// object is what is known of an object. Its file has the content first, so that a person can read it, then this as JSON, then a foot of
// 16 bytes: the JSON's length (4), "MOB1", and xxhash64 of the JSON and the bytes before the sum (8), integers big-endian.
type object struct {
	Bucket string            `json:"bucket"`
	Key    string            `json:"key"`
	MD5    []byte            `json:"md5"` // of the content: the ETag
	At     time.Time         `json:"at"`  // when it was put
	Meta   map[string]string `json:"meta,omitempty"`
	size   int64             // of the content
}

const (
	footBytes  = 16
	objectMark = "MOB1"
)

// place is where an object lies. The name is a sum, since keys may be anything: longer than a file's name, a folder of others, or alike
// but for what a file system takes away.
func place(bucket, key string) string {
	sum := sha256.Sum256([]byte(key))
	return path.Join(objectsDir, bucket, hex.EncodeToString(sum[:]))
}

// seal ends an object's file, whose content is written, and syncs it.
func seal(file afero.File, o object) error {
	text, err := json.Marshal(o)
	if err != nil {
		return err
	}
	end := binary.BigEndian.AppendUint32(text, uint32(len(text)))
	end = append(end, objectMark...)
	end = binary.BigEndian.AppendUint64(end, xxhash.Sum64(end))
	if _, err := file.Seek(0, io.SeekEnd); err != nil {
		return err
	}
	if _, err := file.Write(end); err != nil {
		return err
	}
	return file.Sync()
}

// readObject opens an object's file, which the caller closes. What is damaged is an error, and never an object that is not there.
func readObject(fs afero.Fs, at string) (afero.File, object, error) {
	file, err := fs.Open(at)
	if err != nil {
		return nil, object{}, err
	}
	o, err := readEnd(file)
	if err == nil && place(o.Bucket, o.Key) != at && settingPlace(o.Bucket, o.Key) != at {
		err = errors.New("it is the file of another object")
	}
	if err != nil {
		_ = file.Close() // it was read only
		return nil, object{}, &damage{at, err}
	}
	return file, o, nil
}

// damage says that a file with the name of an object's is not whole.
type damage struct {
	at  string
	why error
}

func (d *damage) Error() string {
	return fmt.Sprintf("artifacts/%s is damaged: %v: restore it from a backup, or remove it and put the object again", d.at, d.why)
}

func (d *damage) Unwrap() error { return d.why }

// isObject tells whether a file of a bucket's folder has the name of an object's. Others are not the server's, such as those that
// file managers make.
func isObject(name string) bool {
	_, err := hex.DecodeString(name)
	return err == nil && len(name) == 2*sha256.Size && name == strings.ToLower(name)
}

func readEnd(file afero.File) (object, error) {
	info, err := file.Stat()
	if err != nil {
		return object{}, err
	}
	if info.Size() < footBytes {
		return object{}, errors.New("it is too short")
	}
	var foot [footBytes]byte
	if _, err := file.ReadAt(foot[:], info.Size()-footBytes); err != nil {
		return object{}, err
	}
	length := int64(binary.BigEndian.Uint32(foot[:]))
	if string(foot[4:8]) != objectMark || length > info.Size()-footBytes {
		return object{}, errors.New("its end is not that of an object")
	}
	text := make([]byte, length, length+8)
	if _, err := file.ReadAt(text, info.Size()-footBytes-length); err != nil {
		return object{}, err
	}
	if xxhash.Sum64(append(text, foot[:8]...)) != binary.BigEndian.Uint64(foot[8:]) {
		return object{}, errors.New("its checksum is another")
	}
	o := object{size: info.Size() - footBytes - length}
	return o, json.Unmarshal(text, &o)
}
