"""The training pipeline on Kubeflow Pipelines: the stages of dags/training.py, each a container of the image.

A stage is the project's own command, so the image needs nothing of Kubeflow. Every decision is inside a stage: a
refused model fails `evaluate`, a missing approval fails `deploy`, and where there is nothing new to train from, the
stages after `compare` do nothing and succeed. `make kubeflow IMAGE=...` compiles it to var/kubeflow/pipeline.yaml.
"""

import argparse
import re
from pathlib import Path

from kfp import compiler, dsl, kubernetes
from kfp.dsl.graph_component import GraphComponent

PROJECT = "{{ cookiecutter.project_slug }}"

# What the stages read from the environment: keys of the ConfigMap and of the Secret that are called as the project. In
# pods that share no disk the first three have to be set, and a pod waits until they are; the others may be missing.
REQUIRED = ["MLFLOW_TRACKING_URI", "MODELWORKS_STORAGE__URI", "MODELWORKS_TRACKING__REGISTRY"]
OPTIONAL = ["AWS_ENDPOINT_URL", "AWS_REGION", "MODELWORKS_LABELS__URI", "MODELWORKS_SOURCE__URI"]
SECRETS = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "MLFLOW_TRACKING_TOKEN"]

CPUS = ("1", "2")  # requested, and at most
MEMORY = ("2Gi", "4Gi")
TIMEOUT_S = 4 * 3600  # of a stage; tuning takes the longest
USER = 10001  # of the image


def step(stage: str, *values: str) -> dsl.ContainerSpec:
    """The project's command for a stage, in its image."""
    return dsl.ContainerSpec(image=PROJECT, command=[PROJECT, "step", stage], args=[*values])


@dsl.container_component
def ingest(period: str, refresh: bool, dataset: dsl.OutputPath(str)):
    """Bring the periods into storage."""
    return step("ingest", "--period", period, "--refresh", refresh, "--output", dataset)


@dsl.container_component
def validate(run: str, raw: str, reason: str, dataset: dsl.OutputPath(str)):
    """Quarantine the rows that break the contract."""
    values = ["--run-name", run, "--dataset", raw, "--reason", reason, "--by", "kubeflow"]
    return step("validate", *values, "--output", dataset)


@dsl.container_component
def compare(run: str, clean: str, trials: str, force: bool):
    """End the run if a version was trained from exactly this data, code and settings."""
    return step("compare", "--run-name", run, "--dataset", clean, "--trials", trials, "--force", force)


@dsl.container_component
def tune(run: str, clean: str, trials: str):
    """Tune each model type, where that is asked for."""
    return step("tune", "--run-name", run, "--dataset", clean, "--trials", trials)


@dsl.container_component
def train(run: str, clean: str):
    """Fit a candidate."""
    return step("train", "--run-name", run, "--dataset", clean)


@dsl.container_component
def evaluate(run: str):
    """Measure and judge the candidate; a refused one fails the run."""
    return step("evaluate", "--run-name", run)


@dsl.container_component
def deploy(run: str):
    """Fit on all periods and make it the champion; without an approval that is asked for, this fails."""
    return step("deploy", "--run-name", run, "--by", "kubeflow")


def build(image: str) -> GraphComponent:
    """The pipeline on an image."""

    @dsl.pipeline(name=f"{PROJECT}-training", description="From periods to a released model.")
    def training(period: str = "", reason: str = "", trials: str = "", force: bool = False, refresh: bool = False):
        """From periods to a released model.

        Args:
            period: Newest period, which is held out. Empty: the newest whose labels are known.
            reason: Why this run is started; logged in MLflow and, with a release, in the ledger.
            trials: Trials of each model type; 0: none. Empty: as [tuning] of pipeline.toml says.
            force: Train and release even if a version was trained from exactly this data, code and settings.
            refresh: Ingest a source file that has changed as a new version of its period.
        """
        run = dsl.PIPELINE_JOB_ID_PLACEHOLDER  # one run of Kubeflow is one run of MLflow, whatever is retried
        ingested = ingest(period=period, refresh=refresh)
        validated = validate(run=run, raw=ingested.outputs["dataset"], reason=reason)
        clean = validated.outputs["dataset"]
        compared = compare(run=run, clean=clean, trials=trials, force=force)
        tuned = tune(run=run, clean=clean, trials=trials).after(compared)
        trained = train(run=run, clean=clean).after(tuned)
        evaluated = evaluate(run=run).after(trained)
        deployed = deploy(run=run).after(evaluated)
        for task in (ingested, validated, compared, tuned, trained, evaluated, deployed):
            configure(task, image)

    return training


def configure(task: dsl.PipelineTask, image: str) -> None:
    """Image, environment, limits and retries of a stage; Kubeflow's cache would skip it, and its gates with it."""
    task.set_container_image(image).set_caching_options(False)
    task.set_retry(2, backoff_duration="10s", backoff_factor=2, backoff_max_duration="600s")
    task.set_cpu_request(CPUS[0]).set_cpu_limit(CPUS[1]).set_memory_request(MEMORY[0]).set_memory_limit(MEMORY[1])
    kubernetes.use_config_map_as_env(task, PROJECT, {name: name for name in REQUIRED})
    kubernetes.use_config_map_as_env(task, PROJECT, {name: name for name in OPTIONAL}, optional=True)
    kubernetes.use_secret_as_env(task, PROJECT, {name: name for name in SECRETS}, optional=True)
    kubernetes.set_security_context(task, run_as_user=USER, run_as_group=USER, run_as_non_root=True)
    kubernetes.set_timeout(task, TIMEOUT_S)


def image_reference(text: str) -> str:
    """An image with a tag or a digest: another `latest` tomorrow would be other code under the same pipeline."""
    name, _, tag = text.rpartition(":")
    if not re.fullmatch(r"\w[\w.-]*|[0-9a-f]{64}", tag) or not name or tag == "latest":
        raise argparse.ArgumentTypeError(f"{text!r} has no tag or digest, as registry.example.com/{PROJECT}:2.0.0 has")
    return text


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Compile the training pipeline for Kubeflow.")
    parser.add_argument("--image", type=image_reference, required=True)
    parser.add_argument("--to", type=Path, required=True)
    given = parser.parse_args()
    given.to.parent.mkdir(parents=True, exist_ok=True)
    compiler.Compiler().compile(build(given.image), str(given.to))
    print(given.to)
