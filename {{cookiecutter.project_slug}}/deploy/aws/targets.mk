# AWS: the page "Run on AWS" of the template has the steps; `make aws` reaches no account.
AWS := .tools/aws
.PHONY: aws awslock
aws: $(AWS)/installed ## synthesise the stacks for AWS into var/aws, and check them by the rules of cdk-nag
	@rm -rf var/aws
	@CDK_OUTDIR="$(CURDIR)/var/aws" JSII_NODE="$(CURDIR)/$(AWS)/bin/node" $(AWS)/bin/python deploy/aws/app.py
lock: awslock
awslock: | $(UV)
	$(COMPILE) deploy/aws/requirements.in --output-file deploy/aws/requirements.lock
$(AWS)/installed: deploy/aws/requirements.lock | $(UV)
	@echo "Installing CDK and Node.js from deploy/aws/requirements.lock ..." >&2
	@$(UV) venv --quiet --clear $(AWS)
	@UV_COMPILE_BYTECODE=0 $(UV) pip sync --quiet --python $(AWS) --require-hashes deploy/aws/requirements.lock
	@touch $@
