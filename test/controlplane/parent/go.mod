// What every program of the harness shares: dying with the process that started it.
module hedgerow.dev/test/controlplane/parent

go 1.26.0
