#!/usr/bin/env bash
# build.sh OUT.tar [REF]   builds Holdfast as one static program and puts it into an image from scratch; no daemon needed
#   OUT.tar   an archive that `docker load`, `podman load`, `skopeo`, `crane` and `ctr` read
#   REF       name of the image with a tag; default localhost/holdfast:<version>
#   EXTRA_CA  file with more authorities (PEM) that the image shall trust
# Prints the name with the digest. The same input gives the same bytes.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$root/Cargo.toml" | head -1)
out=$(realpath -m "${1:?OUT.tar is missing}") ref=${2:-localhost/holdfast:$version}
export LC_ALL=C
target=x86_64-unknown-linux-gnu   # static glibc: what Rust has by itself on Debian, unlike musl
bundle=etc/ssl/certs/ca-certificates.crt
user=65532:65532                  # as src/install/manifests.rs

compgen -G '/usr/share/ca-certificates/mozilla/*.crt' > /dev/null || {
  echo "build.sh: no authorities, install them with: apt-get install -y --no-install-recommends ca-certificates" >&2; exit 3; }

# The explicit target keeps the flag away from build scripts and macros. The places of other people's sources are
# those of this machine, and nobody's business.
cd "$root"
# Of a cargo that runs this in a test: build scripts would see a change, and half of it would be built again.
unset CARGO_MANIFEST_DIR CARGO_MANIFEST_PATH "${!CARGO_PKG_@}"
RUSTFLAGS="-C target-feature=+crt-static --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=cargo" \
  cargo build --locked --profile dist --quiet --bin holdfast --target "$target"
binary=${CARGO_TARGET_DIR:-target}/$target/dist/holdfast

t=$(mktemp -d); trap 'rm -rf "$t"' EXIT
mkdir -p "$t/root/${bundle%/*}" "$t/image/blobs/sha256"
install -m 755 "$binary" "$t/root/holdfast"
# The package's own files: the bundle of this machine may hold authorities that only its people trust.
cat /usr/share/ca-certificates/mozilla/*.crt ${EXTRA_CA:+"$EXTRA_CA"} > "$t/root/$bundle"
chmod -R u=rwX,go=rX "$t/root"

pack() { # pack FOLDER FILE NAME...: nothing of the machine or the moment in it
  tar -C "$1" --format=ustar --sort=name --mtime=@0 --numeric-owner --owner=0 --group=0 -cf "$2" "${@:3}"
}
blob() { # blob FILE: moves it to where its digest says, and prints the digest
  local digest; digest=$(sha256sum "$1" | cut -d' ' -f1)
  mv "$1" "$t/image/blobs/sha256/$digest"; echo "$digest"
}
descriptor() { # descriptor TYPE DIGEST [MORE]
  printf '{"mediaType":"application/vnd.oci.image.%s","digest":"sha256:%s","size":%d%s}' \
    "$1" "$2" "$(stat -c %s "$t/image/blobs/sha256/$2")" "${3:-}"
}

pack "$t/root" "$t/layer" etc holdfast
layer=$(blob "$t/layer")
printf '{"architecture":"amd64","os":"linux","created":"1970-01-01T00:00:00Z","config":{"User":"%s","Env":["SSL_CERT_FILE=/%s"],"Entrypoint":["/holdfast"],"Labels":{"org.opencontainers.image.title":"holdfast","org.opencontainers.image.version":"%s","org.opencontainers.image.licenses":"Apache-2.0"}},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]},"history":[{"created":"1970-01-01T00:00:00Z","created_by":"deploy/image/build.sh"}]}' \
  "$user" "$bundle" "${ref##*:}" "$layer" > "$t/config"
config=$(blob "$t/config")
printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":%s,"layers":[%s]}' \
  "$(descriptor config.v1+json "$config")" "$(descriptor layer.v1.tar "$layer")" > "$t/manifest"
manifest=$(blob "$t/manifest")

# The layout of OCI, and beside it the list that `docker load` reads.
names=$(printf ',"annotations":{"io.containerd.image.name":"%s","org.opencontainers.image.ref.name":"%s"}' "$ref" "${ref##*:}")
printf '{"imageLayoutVersion":"1.0.0"}' > "$t/image/oci-layout"
printf '{"schemaVersion":2,"manifests":[%s]}' "$(descriptor manifest.v1+json "$manifest" "$names")" > "$t/image/index.json"
printf '[{"Config":"blobs/sha256/%s","RepoTags":["%s"],"Layers":["blobs/sha256/%s"]}]' "$config" "$ref" "$layer" > "$t/image/manifest.json"
mkdir -p "${out%/*}"
pack "$t/image" "$out.tmp" blobs index.json manifest.json oci-layout
mv "$out.tmp" "$out"
echo "$ref@sha256:$manifest"
