// tlogread reads a whole C2SP tlog-tiles log over HTTP with golang.org/x/mod/sumdb, and believes nothing:
// checkpoints by sumdb/note, the root from the entries, every tile against the hashes of the entries, and
// consistency between older checkpoints and the newest by sumdb/tlog. Cosignatures by crypto/ed25519.
//
// usage: tlogread PREFIX TOKEN VKEY [-old FILE]... [-witness VKEY]...
package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const height = 8

type head struct {
	origin string
	tree   tlog.Tree
	signed *note.Note
}

type reader struct {
	prefix, token string
	tiles         int
}

func fail(format string, args ...interface{}) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	os.Exit(1)
}

func (r *reader) get(path string) []byte {
	request, err := http.NewRequest("GET", r.prefix+"/"+path, nil)
	if err != nil {
		fail("%s: %v", path, err)
	}
	if r.token != "" {
		request.Header.Set("Authorization", "Bearer "+r.token)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		fail("%s: %v", path, err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != 200 {
		fail("%s: HTTP %d %v", path, answer.StatusCode, err)
	}
	wanted := "application/octet-stream"
	if path == "checkpoint" {
		wanted = "text/plain; charset=utf-8"
	}
	if got := answer.Header.Get("Content-Type"); got != wanted {
		fail("%s: Content-Type %q", path, got)
	}
	return body
}

// path is tlog-tiles' form of sumdb's tile/H/L/N: without the height, and entries for data.
func path(t tlog.Tile) string {
	parts := strings.SplitN(t.Path(), "/", 4)
	level := parts[2]
	if level == "data" {
		level = "entries"
	}
	return "tile/" + level + "/" + parts[3]
}

func (r *reader) Height() int { return height }

func (r *reader) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, t := range tiles {
		body := r.get(path(t))
		if len(body) != t.W*tlog.HashSize {
			return nil, fmt.Errorf("%s has %d bytes", path(t), len(body))
		}
		r.tiles++
		all = append(all, body)
	}
	return all, nil
}

func (r *reader) SaveTiles([]tlog.Tile, [][]byte) {}

func open(raw []byte, log note.Verifier, witnesses []note.Verifier) head {
	signed, err := note.Open(raw, note.VerifierList(append([]note.Verifier{log}, witnesses...)...))
	if err != nil {
		fail("checkpoint: %v", err)
	}
	if len(signed.Sigs) < 1+len(witnesses) {
		fail("checkpoint: %d of %d signatures", len(signed.Sigs), 1+len(witnesses))
	}
	lines := strings.Split(signed.Text, "\n")
	if len(lines) != 4 || lines[0] != log.Name() {
		fail("checkpoint: not of %s", log.Name())
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		fail("checkpoint: %v", err)
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		fail("checkpoint: %v", err)
	}
	return head{lines[0], tlog.Tree{N: size, Hash: root}, signed}
}

// cosigner is a tlog-cosignature key (type 0x04), which sumdb/note itself does not know.
type cosigner struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

func (c cosigner) Name() string    { return c.name }
func (c cosigner) KeyHash() uint32 { return c.hash }
func (c cosigner) Verify(text, signature []byte) bool {
	if len(signature) != 72 {
		return false
	}
	at := binary.BigEndian.Uint64(signature)
	message := fmt.Sprintf("cosignature/v1\ntime %d\n%s", at, text)
	return ed25519.Verify(c.key, []byte(message), signature[8:])
}

func witness(vkey string) note.Verifier {
	parts := strings.SplitN(vkey, "+", 3)
	if len(parts) != 3 {
		fail("%q is no vkey", vkey)
	}
	blob, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(blob) != 33 || blob[0] != 4 {
		fail("%q is no witness's vkey", vkey)
	}
	sum := sha256.Sum256(append([]byte(parts[0]+"\n"), blob...))
	if hex.EncodeToString(sum[:4]) != parts[1] {
		fail("%q has another id", vkey)
	}
	return cosigner{parts[0], binary.BigEndian.Uint32(sum[:4]), ed25519.PublicKey(blob[1:])}
}

// entries fetches every bundle and stores every hash that they give, in sumdb's order.
func (r *reader) entries(size int64) []tlog.Hash {
	var stored []tlog.Hash
	known := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		var found []tlog.Hash
		for _, index := range indexes {
			found = append(found, stored[index])
		}
		return found, nil
	})
	for n := int64(0); n < size; {
		width := size - n
		if width > 1<<height {
			width = 1 << height
		}
		name := path(tlog.Tile{H: height, L: -1, N: n >> height, W: int(width)})
		bundle := r.get(name)
		r.tiles++
		for ; width > 0; width-- {
			if len(bundle) < 2 || len(bundle) < 2+int(binary.BigEndian.Uint16(bundle)) {
				fail("%s is torn", name)
			}
			length := int(binary.BigEndian.Uint16(bundle))
			hashes, err := tlog.StoredHashes(n, bundle[2:2+length], known)
			if err != nil {
				fail("entry %d: %v", n, err)
			}
			stored = append(stored, hashes...)
			bundle = bundle[2+length:]
			n++
		}
		if len(bundle) != 0 {
			fail("%s: %d bytes too many", name, len(bundle))
		}
	}
	return stored
}

func main() {
	if len(os.Args) < 4 {
		fail("usage: tlogread PREFIX TOKEN VKEY [-old FILE]... [-witness VKEY]...")
	}
	r := &reader{prefix: os.Args[1], token: os.Args[2]}
	log, err := note.NewVerifier(os.Args[3])
	if err != nil {
		fail("vkey: %v", err)
	}
	var olds []head
	var witnesses []note.Verifier
	for at := 4; at+1 < len(os.Args); at += 2 {
		switch os.Args[at] {
		case "-witness":
			witnesses = append(witnesses, witness(os.Args[at+1]))
		case "-old":
			raw, err := os.ReadFile(os.Args[at+1])
			if err != nil {
				fail("%v", err)
			}
			olds = append(olds, open(raw, log, nil))
		default:
			fail("%s: unknown", os.Args[at])
		}
	}
	newest := open(r.get("checkpoint"), log, witnesses)
	stored := r.entries(newest.tree.N)
	known := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		var found []tlog.Hash
		for _, index := range indexes {
			found = append(found, stored[index])
		}
		return found, nil
	})
	root, err := tlog.TreeHash(newest.tree.N, known)
	if err != nil || root != newest.tree.Hash {
		fail("the entries give root %v, signed is %v (%v)", root, newest.tree.Hash, err)
	}
	for _, t := range tlog.NewTiles(height, 0, newest.tree.N) {
		hashes := newest.tree.N >> (height * uint(t.L))
		if t.W < 1<<height && t.N<<height+int64(t.W) != hashes {
			continue // narrower partial tiles belong to trees that may never have had a checkpoint
		}
		wanted, err := tlog.ReadTileData(t, known)
		if err != nil {
			fail("%s: %v", path(t), err)
		}
		found, err := r.ReadTiles([]tlog.Tile{t})
		if err != nil || !bytes.Equal(found[0], wanted) {
			fail("%s: not the hashes of the entries (%v)", path(t), err)
		}
	}
	proofs := tlog.TileHashReader(newest.tree, r)
	for _, old := range olds {
		proof, err := tlog.ProveTree(newest.tree.N, old.tree.N, proofs)
		if err == nil {
			err = tlog.CheckTree(proof, newest.tree.N, newest.tree.Hash, old.tree.N, old.tree.Hash)
		}
		if err != nil {
			fail("size %d is no beginning of size %d: %v", old.tree.N, newest.tree.N, err)
		}
	}
	for _, n := range []int64{0, newest.tree.N / 2, newest.tree.N - 1} {
		proof, err := tlog.ProveRecord(newest.tree.N, n, proofs)
		if err == nil {
			err = tlog.CheckRecord(proof, newest.tree.N, newest.tree.Hash, n, stored[tlog.StoredHashIndex(0, n)])
		}
		if err != nil {
			fail("entry %d: %v", n, err)
		}
	}
	fmt.Printf("%s %d entries, %d tiles, %d older checkpoints, %d witnesses\n",
		newest.origin, newest.tree.N, r.tiles, len(olds), len(witnesses))
}
