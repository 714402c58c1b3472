#!/bin/sh
# Asks a real kubectl what it makes of YAML scalars, as values (kubectl-scalars.tsv) and as mapping keys (kubectl-keys.tsv).
# Usage: KUBECTL=/path/to/kubectl sh kubectl-scalars.sh   (any release; the tables in this folder were made with 1.34)
# Columns: the text as it stands in the YAML, the JSON that kubectl gave or the word `error`. No server is needed:
# `annotate --local` only reads, converts and prints.
set -eu
kubectl=${KUBECTL:?set KUBECTL to the kubectl that should answer}
here=$(cd "$(dirname "$0")" && pwd)
export KUBECONFIG=/dev/null

ask() { # $1: the line under spec, $2: sed program that cuts the answer out
    answer=$(printf 'apiVersion: probe.example/v1\nkind: Probe\nmetadata: {name: probe}\nspec:\n  %s\n' "$1" |
        "$kubectl" annotate --local -f - -o "jsonpath-as-json=$2" probe=yes 2>/dev/null) || answer=
    [ -n "$answer" ] && printf '%s\n' "$answer" | sed -n "$3" || echo error
}

values() {
    cat <<'SCALARS'
y
Y
yes
Yes
YES
yES
true
True
TRUE
tRUE
on
On
ON
oN
n
N
no
No
NO
nO
false
False
FALSE
fALSE
off
Off
OFF
oFF
~

null
Null
NULL
nULL
none
# only a comment
0
7
42
-1
+1
-0
+0
--1
-
+
007
010
-010
+010
08
09
019
-08
0o10
0O10
-0o17
0o8
0x1F
0X1f
-0x1F
+0x1F
0x
0xG
0x_1F
0x1FFFFFFFFFFFFFFFFF
0b101
0B101
-0b101
+0b101
0b
0b2
0b+101
0b-101
-0b+1
0b1111111111111111111111111111111111111111111111111111111111111111
-0b1111111111111111111111111111111111111111111111111111111111111111
1_000
1__000
_1000
1000_
-1_0
+_1
0_1
0b_1
1_000.5
1_0e1_0
9223372036854775807
9223372036854775808
-9223372036854775808
-9223372036854775809
10000000000000000000
18446744073709551615
18446744073709551616
+18446744073709551615
123456789012345678901234567890
-123456789012345678901234567890
0xFFFFFFFFFFFFFFFF
0777777777777777777777
01777777777777777777777
.5
-.5
+.5
.5e3
.5e
.5E-3
.1_5
.1__5
.15_
._15
.1_5e1_0
.1e1_
.
..
...5
.e5
.5.5
1.
1.0
1.5
-1.5
+1.5
1.e3
1e3
1E3
1e+3
1e-3
1e
1e+
1e3.5
1.5e3
-0.0
0.0
0.1
100.0
1.10
3.14159265358979323846
1e15
1e17
9007199254740993.0
9.007199254740993e18
1e18
9.3e18
1e19
1e20
1e21
1e22
1.5e21
1e-5
1e-6
1e-7
-1e-7
1.5e-7
1e300
1e308
1e309
-1e309
1e-320
1e-400
.5e400
0x1p4
0x1.8p1
.inf
.Inf
.INF
.iNF
+.inf
+.Inf
-.inf
-.INF
.nan
.NaN
.NAN
.Nan
inf
Inf
nan
NaN
infinity
1:30
190:20:30
190:20:30.15
-1:30
2001-12-14
2001-1-2
2001-12-14T21:59:43.10-05:00
2001-12-14t21:59:43.10-05:00
2001-12-14 21:59:43.10
2001-12-14 21:59:43.10 -5
20011214
2001-13-45
12e03
012e3
0e0
1.2.3
1,000
1 000
12abc
0.0.0.0
10.0.0.0/8
1Gi
500m
5m30s
*/5 * * * *
v1
<<
=
@at
%percent
"quoted"
"12"
'12'
"true"
'yes'
"~"
""
''
"null"
"010"
".inf"
"a\tb\u00e9\x41"
'it''s'
"\/"
"\e"
! 12
! "12"
! yes
! '010'
! ~
!!str 1
!!str yes
!!str
!!str ~
!!str "x"
!!str 2001-12-14
!!int 12
!!int "12"
!!int '0x1F'
!!int 1.5
!!int foo
!!int 1e3
!!int yes
!!int ""
!!int 2001-12-14
!!int 18446744073709551615
!!float 1
!!float 1.5
!!float "1.5"
!!float 0x10
!!float foo
!!float 18446744073709551615
!!float .inf
!!float ~
!!float 1_000
!!bool yes
!!bool "yes"
!!bool 1
!!bool foo
!!bool y
!!null ~
!!null null
!!null ""
!!null
!!null foo
!!null 0
!<tag:yaml.org,2002:str> 12
!<tag:yaml.org,2002:int> "12"
!!binary aGVsbG8=
!!binary "not base64"
!!timestamp 2001-12-14
!!timestamp foo
!!omap x
!local 12
!local text
!local yes
!!map text
!!seq text
plain text
plain # comment
pla#in
a:b
a: b
http://example.com/a?b=c#d
-a
--- a
?a
:a
tëxt
日本語
😀
SCALARS
}

keys() {
    cat <<'KEYS'
a
y
Y
yes
No
off
true
FALSE
"yes"
~
null

"null"
1
-1
+1
010
0o10
0x1F
0b101
1_000
1.5
1.0
1e3
1e6
1e20
1e21
1e300
-1e300
1e-4
1e-5
1e-50
0.1
3.14159265358979
123456789.0
16777217.0
100000.0
1234567.5
999999.0
.5
-.5
-0.0
.inf
-.inf
.nan
9223372036854775807
9223372036854775808
18446744073709551616
2001-12-14
1:30
"12"
! 12
! "12"
!!str 12
!!int "12"
!!float 12
!!bool "yes"
!!null x
a b
a/b
a~b
example.com/name
? a
KEYS
}

values | while IFS= read -r text; do
    printf '%s\t%s\n' "$text" "$(ask "v: $text" '{.spec.v}' '2s/^ *//p')"
done >"$here/kubectl-scalars.tsv"
keys | while IFS= read -r text; do
    case $text in
    '? '*) line="$text
  : 1" ;;
    *) line="$text: 1" ;;
    esac
    printf '%s\t%s\n' "$text" "$(ask "$line" '{.spec}' '3s/^ *\(".*"\): 1$/\1/p')"
done >"$here/kubectl-keys.tsv"
