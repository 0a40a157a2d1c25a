package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/cert-manager/cert-manager/pkg/controller"
	"k8s.io/klog/v2"

	// The controllers of private CAs. Upstream's binary also holds ACME, Vault and Venafi, for nothing that is tested here.
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/approver"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/ca"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/selfsigned"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/issuing"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/keymanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/readiness"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/requestmanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/revisionmanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/trigger"
	_ "github.com/cert-manager/cert-manager/pkg/controller/clusterissuers"
	_ "github.com/cert-manager/cert-manager/pkg/controller/issuers"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/ca"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/selfsigned"
)

// runController starts cert-manager's own controllers the way its cmd/controller does (that command is a nested module which cannot be required), without leader election.
func runController(ctx context.Context, args []string) error {
	options := controller.ContextOptions{}
	flags := flag.NewFlagSet("cert-manager-controller", flag.ContinueOnError)
	flags.StringVar(&options.Kubeconfig, "kubeconfig", "", "who it is and where the API server is")
	flags.StringVar(&options.ClusterResourceNamespace, "cluster-resource-namespace", "cert-manager", "where ClusterIssuers find their secrets")
	qps := flags.Float64("kube-api-qps", 20, "requests a second; unused while the API server does fair queuing")
	flags.IntVar(&options.KubernetesAPIBurst, "kube-api-burst", 50, "burst of the above")
	workers := flags.Int("concurrent-workers", 5, "workers per controller")
	flags.DurationVar(&options.CertificateRequestMinimumBackoffDuration, "certificate-request-minimum-backoff-duration", time.Hour, "first pause after a failed request")
	flags.DurationVar(&options.CertificateRequestMaximumBackoffDuration, "certificate-request-maximum-backoff-duration", 32*time.Hour, "longest pause after failed requests")
	if err := flags.Parse(args); err != nil {
		return err
	}
	options.KubernetesAPIQPS = float32(*qps)
	options.CopiedAnnotationPrefixes = []string{"*", "-kubectl.kubernetes.io/", "-fluxcd.io/", "-argocd.argoproj.io/"}
	return runControllers(klog.NewContext(ctx, klog.Background()), options, *workers)
}

func runControllers(ctx context.Context, options controller.ContextOptions, workers int) error {
	factory, err := controller.NewContextFactory(ctx, options)
	if err != nil {
		return err
	}
	shared, err := factory.Build()
	if err != nil {
		return err
	}
	var running sync.WaitGroup
	failed := make(chan error, len(controller.Known()))
	var names []string
	for name, construct := range controller.Known() {
		// No Gateway API, ingress or CertificateSigningRequest here: those constructors need other options and no test meets them.
		if !wanted(name) {
			continue
		}
		one, err := construct(factory)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		names = append(names, name)
		running.Go(func() {
			if err := one.Run(workers, ctx); err != nil {
				failed <- fmt.Errorf("%s: %w", name, err)
			}
		})
	}
	shared.SharedInformerFactory.Start(ctx.Done())
	shared.KubeSharedInformerFactory.Start(ctx.Done())
	shared.HTTP01ResourceMetadataInformersFactory.Start(ctx.Done())
	fmt.Fprintf(os.Stderr, "running %s\n", strings.Join(names, " "))
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	done := make(chan struct{})
	go func() { running.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-time.After(5 * time.Second):
		return errors.New("controllers did not stop within 5 s")
	}
}

func wanted(name string) bool {
	return strings.HasPrefix(name, "certificates-") || strings.HasPrefix(name, "certificaterequests-") || strings.HasSuffix(name, "issuers")
}
