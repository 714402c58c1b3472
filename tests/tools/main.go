// beside is what Argo CD and Flux do, made of their own libraries, so that tests run it on one machine without either of them.
package main

import (
	"fmt"
	"os"
)

var commands = map[string]func(arguments []string) error{
	"health":    health,
	"manifests": manifests,
	"flux":      flux,
	"argocd":    argocd,
}

func main() {
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: beside health|manifests|flux|argocd ...")
		os.Exit(2)
	}
	if err := commands[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintf(os.Stderr, "beside %s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
}
