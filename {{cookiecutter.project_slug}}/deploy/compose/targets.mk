COMPOSE ?= $(DOCKER) compose
IMAGE_TAG ?= local
.PHONY: compose
compose: export IMAGE_TAG := $(IMAGE_TAG)
compose: export SOURCE_FILE := $(shell sed -n 's|^uri = "data/\([^"]*\)".*|\1|p' pipeline.toml)
compose: var/compose.env var/compose-keys ## start all servers with Docker Compose, on the image of `make image` [ARGS=down]
	@$(COMPOSE) --env-file var/compose.env --file deploy/compose/compose.yaml $(or $(ARGS),up --detach --wait)
var/compose.env:
	@mkdir -p var && umask 077 && $(PYTHON) deploy/compose/draw_secrets.py > $@.new && mv $@.new $@
var/compose-keys:
	@mkdir -p var && rm -rf $@.new && $(PYTHON) deploy/compose/draw_keys.py $@.new && mv $@.new $@
