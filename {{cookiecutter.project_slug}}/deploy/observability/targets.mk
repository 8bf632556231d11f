alerts: ## check the configuration of Prometheus and test the alert rules [Debian: apt-get install prometheus]
	promtool check config --syntax-only deploy/observability/prometheus.yml # the key is not here
	promtool check rules deploy/observability/rules.yml
	promtool test rules deploy/observability/rules-test.yml
