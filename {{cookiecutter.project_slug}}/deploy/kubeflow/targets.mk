##@ kubeflow
KUBEFLOW := .tools/kubeflow
.PHONY: kubeflow
kubeflow: $(KUBEFLOW)/installed ## compile the training pipeline for Kubeflow [IMAGE=registry.example.com/{{ cookiecutter.project_slug }}:2.0.0]
	@$(KUBEFLOW)/bin/python deploy/kubeflow/pipeline.py --image "$(IMAGE)" --to var/kubeflow/pipeline.yaml
# In an environment of its own: kfp wants older packages than Airflow and MLflow have.
$(KUBEFLOW)/installed: deploy/kubeflow/requirements.lock | $(UV)
	@echo "Installing kfp from deploy/kubeflow/requirements.lock ..." >&2
	@$(UV) venv --quiet --clear $(KUBEFLOW)
	@$(UV) pip sync --quiet --python $(KUBEFLOW) --require-hashes deploy/kubeflow/requirements.lock
	@touch $@
lock: lockkubeflow
.PHONY: lockkubeflow
lockkubeflow: | $(UV)
	$(COMPILE) --python-version 3.11 --output-file deploy/kubeflow/requirements.lock deploy/kubeflow/requirements.in
