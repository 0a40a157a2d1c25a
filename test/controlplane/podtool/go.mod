module hedgerow.dev/test/controlplane/podtool

go 1.26.0
