# Sourced by up.sh: certificates and kubeconfigs below $C/pki, made once.
P=$C/pki

_cert() { # _cert NAME CA SUBJECT EXTENSION...  (EC P-256 keys, PKCS#8)
  local name=$1 ca=$2 subj=$3; shift 3
  local ext=() e; for e in "$@"; do ext+=(-addext "$e"); done
  openssl req -config "$P/openssl.cnf" -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
    -days 3650 -subj "$subj" -CA "$P/$ca.crt" -CAkey "$P/$ca.key" \
    -addext 'basicConstraints=critical,CA:false' -addext 'keyUsage=critical,digitalSignature,keyEncipherment' \
    "${ext[@]}" -keyout "$P/$name.key" -out "$P/$name.crt" 2>/dev/null
}
_ca() { # _ca NAME
  openssl req -config "$P/openssl.cnf" -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 \
    -subj "/CN=$1" -addext 'basicConstraints=critical,CA:true' -addext 'keyUsage=critical,digitalSignature,keyEncipherment,keyCertSign,cRLSign' \
    -addext 'subjectKeyIdentifier=hash' -keyout "$P/$1.key" -out "$P/$1.crt" 2>/dev/null
}
kubeconfig() { # kubeconfig FILE CERT
  local b='base64 -w0'
  (umask 077; cat > "$1") <<YAML
apiVersion: v1
kind: Config
clusters:
- name: lab
  cluster:
    server: https://127.0.0.1:$API_PORT
    certificate-authority-data: $($b < "$P/ca.crt")
users:
- name: $2
  user:
    client-certificate-data: $($b < "$P/$2.crt")
    client-key-data: $($b < "$P/$2.key")
contexts:
- name: lab
  context: {cluster: lab, user: $2, namespace: default}
current-context: lab
YAML
}

certs() {
  [ -e "$P/.done" ] && return 0
  mkdir -p "$P"; chmod 700 "$P"
  printf '[req]\ndistinguished_name=dn\nprompt=no\n[dn]\n' > "$P/openssl.cnf"
  local client='extendedKeyUsage=clientAuth' server='extendedKeyUsage=serverAuth'
  _ca ca
  _ca front-proxy-ca
  openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$P/sa.key" 2>/dev/null
  openssl pkey -in "$P/sa.key" -pubout -out "$P/sa.pub"
  _cert apiserver ca /CN=kube-apiserver "$server" \
    "subjectAltName=DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local,IP:127.0.0.1,IP:10.96.0.1,IP:$NODE_IP"
  _cert apiserver-kubelet-client ca /O=system:masters/CN=kube-apiserver-kubelet-client "$client"
  _cert front-proxy-client front-proxy-ca /CN=front-proxy-client "$client"
  _cert admin ca /O=system:masters/CN=admin "$client"
  _cert controller-manager ca /CN=system:kube-controller-manager "$client"
  _cert scheduler ca /CN=system:kube-scheduler "$client"
  _cert kubelet ca "/O=system:nodes/CN=system:node:$NODE" "$client"
  _cert kubelet-server ca "/O=system:nodes/CN=system:node:$NODE" "$server" "subjectAltName=DNS:$NODE,IP:127.0.0.1,IP:$NODE_IP"
  _cert proxy ca /CN=system:kube-proxy "$client"
  local u; for u in controller-manager scheduler kubelet proxy; do kubeconfig "$P/$u.conf" "$u"; done
  kubeconfig "$C/admin.conf" admin
  touch "$P/.done"
}
