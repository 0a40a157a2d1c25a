package main

import (
	"context"

	"github.com/spf13/pflag"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/cert-manager/cert-manager/internal/webhook"
	"github.com/cert-manager/cert-manager/pkg/webhook/options"
	"github.com/cert-manager/cert-manager/pkg/webhook/server"
)

// runWebhook is cert-manager's real webhook with its own flags: fills in who made a request, and refuses approvals by those who may not approve.
func runWebhook(ctx context.Context, args []string) error {
	config, err := options.NewWebhookConfiguration()
	if err != nil {
		return err
	}
	flags := pflag.NewFlagSet("cert-manager-webhook", pflag.ContinueOnError)
	options.AddConfigFlags(flags, config)
	if err := flags.Parse(args); err != nil {
		return err
	}
	log := klog.Background()
	ctrl.SetLogger(log)
	// No plain-text health listener: it would be the only unencrypted socket of the cluster.
	serving, err := webhook.NewCertManagerWebhookServer(log, *config, func(s *server.Server) { s.HealthzAddr = nil })
	if err != nil {
		return err
	}
	return serving.Run(klog.NewContext(ctx, log))
}
