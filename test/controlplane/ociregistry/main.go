// ociregistry: a registry that nobody here wrote (go-containerregistry, what `crane registry serve` runs) over HTTPS, and a push to it by the code of `crane`.
//
// stdin: one line {"cert", "key", "ca": PEM; "repository"; "blob": base64}; stdout: one line {"reference"}: the manifest by digest. It serves until stdin ends.
package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

func main() {
	var asked struct {
		Cert, Key, Ca, Repository string
		Blob                      []byte
	}
	in := bufio.NewReader(os.Stdin)
	line, err := in.ReadBytes('\n')
	must(err)
	must(json.Unmarshal(line, &asked))
	pair, err := tls.X509KeyPair([]byte(asked.Cert), []byte(asked.Key))
	must(err)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	must(err)
	quiet := log.New(io.Discard, "", 0)
	go func() { must(http.Serve(listener, registry.New(registry.Logger(quiet)))) }()

	layer := static.NewLayer(asked.Blob, types.MediaType("application/octet-stream"))
	image, err := mutate.AppendLayers(mutate.MediaType(empty.Image, types.OCIManifestSchema1), layer)
	must(err)
	where := fmt.Sprintf("localhost:%d/%s", listener.Addr().(*net.TCPAddr).Port, asked.Repository)
	tag, err := name.ParseReference(where + ":2.4.0")
	must(err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(asked.Ca))
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	must(remote.Write(tag, image, remote.WithTransport(transport)))
	digest, err := image.Digest()
	must(err)
	must(json.NewEncoder(os.Stdout).Encode(map[string]string{"reference": where + "@" + digest.String()}))
	_, _ = io.Copy(io.Discard, in)
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
