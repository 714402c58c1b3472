#!/usr/bin/env bash
# expose.sh PORT   until it is killed, pods reach 127.0.0.1:PORT of the machine at the node's address (10.243.0.1:PORT)
set -euo pipefail
. "$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/env.sh"
port=$1 sock=$C/expose-$1.sock
need socat:socat setpriv:util-linux
# Each ends with the one before it: the test, this process, the one outside of the namespace.
setpriv --pdeathsig KILL socat "UNIX-LISTEN:$sock,fork,unlink-early,mode=600" "TCP:127.0.0.1:$port" &
exec setpriv --pdeathsig KILL "$here/in.sh" socat "TCP-LISTEN:$port,bind=$NODE_IP,fork,reuseaddr" "UNIX-CONNECT:$sock"
