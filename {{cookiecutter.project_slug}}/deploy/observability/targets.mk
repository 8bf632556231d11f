alerts: ## check the configuration of Prometheus and test the alert rules [Debian: apt-get install prometheus]
	promtool check config deploy/observability/prometheus.yml
	promtool test rules deploy/observability/rules-test.yml
