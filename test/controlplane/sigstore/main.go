// sigstore: signs as `cosign attest-blob` and `cosign sign-blob` do with a key of one's own, by the packages that cosign does it with (sigstore/sigstore for the
// signature, protobuf-specs for the bundle). The rest of cosign is key services and registries, and takes far longer to compile.
//
// stdin: {"payload": base64, "pem": PKCS#8}; stdout: {"envelope", "bundle", "blob"}: what cosign writes to --output-signature, and to --bundle of the one and the other.
package main

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"log"
	"os"

	bundlev1 "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	commonv1 "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protodsse "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/dsse"
	"google.golang.org/protobuf/encoding/protojson"
)

const (
	payloadType = "application/vnd.in-toto+json"
	mediaType   = "application/vnd.dev.sigstore.bundle.v0.3+json"
)

func main() {
	var asked struct {
		Payload []byte `json:"payload"`
		Pem     string `json:"pem"`
	}
	must(json.NewDecoder(os.Stdin).Decode(&asked))
	key, err := cryptoutils.UnmarshalPEMToPrivateKey([]byte(asked.Pem), cryptoutils.SkipPassword)
	must(err)
	signer, err := signature.LoadSignerVerifier(key, crypto.SHA256)
	must(err)
	envelope, err := dsse.WrapSigner(signer, payloadType).SignMessage(bytes.NewReader(asked.Payload))
	must(err)
	blob, err := signer.SignMessage(bytes.NewReader(asked.Payload))
	must(err)
	var parsed protodsse.Envelope
	must(protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(envelope, &parsed))
	digest := sha256.Sum256(asked.Payload)
	must(json.NewEncoder(os.Stdout).Encode(map[string]json.RawMessage{
		"envelope": envelope,
		"bundle":   bundle(signer, &bundlev1.Bundle{Content: &bundlev1.Bundle_DsseEnvelope{DsseEnvelope: &parsed}}),
		"blob": bundle(signer, &bundlev1.Bundle{Content: &bundlev1.Bundle_MessageSignature{MessageSignature: &commonv1.MessageSignature{
			MessageDigest: &commonv1.HashOutput{Algorithm: commonv1.HashAlgorithm_SHA2_256, Digest: digest[:]},
			Signature:     blob,
		}}}),
	}))
}

func bundle(signer signature.SignerVerifier, made *bundlev1.Bundle) []byte {
	public, err := signer.PublicKey()
	must(err)
	der, err := x509.MarshalPKIXPublicKey(public)
	must(err)
	hint := sha256.Sum256(der)
	made.MediaType = mediaType
	made.VerificationMaterial = &bundlev1.VerificationMaterial{
		Content: &bundlev1.VerificationMaterial_PublicKey{
			PublicKey: &commonv1.PublicKeyIdentifier{Hint: base64.StdEncoding.EncodeToString(hint[:])},
		},
	}
	text, err := protojson.Marshal(made)
	must(err)
	return text
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
