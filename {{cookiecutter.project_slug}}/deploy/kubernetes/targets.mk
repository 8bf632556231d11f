# `make kubernetes AIRFLOW_CHART=airflow-1.22.0.tgz`: an archive of the official chart, where its site cannot be reached.
HELM ?= helm
AIRFLOW_CHART ?= airflow --repo https://airflow.apache.org --version 1.22.0
.PHONY: kubernetes
##@ Kubernetes
kubernetes: ## render the Helm charts of dev, staging and prod into var/kubernetes [AIRFLOW_CHART=airflow-1.22.0.tgz]
	@command -v $(HELM) >/dev/null || { echo "helm is missing: install Helm 3.19 or later, https://helm.sh/docs/intro/install/" >&2; exit 1; }
	@rm -rf var/kubernetes.new && mkdir -p var/kubernetes.new
	@set -e; in=deploy/kubernetes; render() { chart=$$1; shift; for environment in dev staging prod; do $(HELM) template "$$@" \
		--namespace $(notdir $(CLI))-$$environment --values $$in/values/$$chart.yaml \
		--values $$in/values/$$chart-$$environment.yaml > var/kubernetes.new/$$chart-$$environment.yaml; done; }; \
	render modelworks $(notdir $(CLI)) $$in/modelworks; \
	render airflow airflow $(AIRFLOW_CHART) --set-file podTemplate=$$in/pod-template.yaml
	@rm -rf var/kubernetes && mv var/kubernetes.new var/kubernetes && ls -d var/kubernetes/*
