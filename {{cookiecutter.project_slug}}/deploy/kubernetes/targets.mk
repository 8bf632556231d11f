# AIRFLOW_CHART: a folder or an archive of the official chart, where Airflow's site cannot be reached.
HELM ?= helm
AIRFLOW_CHART ?= airflow --repo https://airflow.apache.org --version 1.22.0
RENDERED := var/kubernetes
.PHONY: kubernetes
##@ Kubernetes
kubernetes: ## render the Helm charts of each environment into var/kubernetes [AIRFLOW_CHART=airflow-1.22.0.tgz]
	@command -v $(HELM) >/dev/null || { echo "helm is missing: install Helm 3.19 or later, https://helm.sh/docs/intro/install/" >&2; exit 1; }
	@rm -rf $(RENDERED).new && mkdir -p $(RENDERED).new
	@set -e; cd deploy/kubernetes; for environment in dev staging prod; do for chart in modelworks airflow; do \
		case $$chart in modelworks) what="$(notdir $(CLI)) modelworks";; \
		airflow) what="airflow $(AIRFLOW_CHART) --set-file podTemplate=pod-template.yaml";; esac; \
		$(HELM) template $$what --namespace $(notdir $(CLI))-$$environment --values values/$$chart.yaml \
			--values values/$$chart-$$environment.yaml > $(CURDIR)/$(RENDERED).new/$$chart-$$environment.yaml; done; done
	@rm -rf $(RENDERED) && mv $(RENDERED).new $(RENDERED) && echo "rendered: $$(ls $(RENDERED) | tr '\n' ' ')in $(RENDERED)"
