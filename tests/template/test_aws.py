"""The stacks for AWS are synthesised without an account, keep the rules of cdk-nag, and are what their page says.

Nothing is deployed: no account of AWS is reached.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from aws_stacks import Stack, read_stack, words_of
from backends import PostgreSQL, postgresql
from bakes import REPOSITORY, Bake, BakedProject, succeed
from documents import Reader, steps_of

pytestmark = pytest.mark.slow

PAGE = REPOSITORY / "docs" / "how-to" / "run-on-aws.md"
LIST = {"s3:ListBucket", "s3:GetBucketLocation"}
READ = {"s3:GetObject"}
WRITE = READ | {"s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"}
TO_READ, TO_WRITE = {"kms:Decrypt"}, {"kms:Decrypt", "kms:GenerateDataKey"}
# What each role may do, and with what.
PERMISSIONS = {
    "Tasks": {
        "Source": LIST,
        "Source/*": READ,
        "Store": LIST,
        "Store/store/*": WRITE,
        "Logs": LIST,
        "Logs/*": WRITE,
        "Key": TO_WRITE,
    },
    "Logs": {"Logs": LIST, "Logs/*": READ, "Key": TO_READ},
    "Mlflow": {"Models": LIST, "Models/*": WRITE, "Key": TO_WRITE},
    "Api": {"Store": LIST, "Store/store/ledger/*": READ, "Store/store/predictions/*": WRITE, "Key": TO_WRITE},
}
# Rules of AwsSolutions whose findings are accepted, and for what.
ACCEPTED = {
    "AwsSolutions-IAM4": {"Cluster"},
    "AwsSolutions-IAM5": {"TasksRole", "LogsRole", "MlflowRole", "ApiRole"},
    "AwsSolutions-RDS11": {"Database"},
}
OF_ONE_ZONE = {"AwsSolutions-RDS3": {"Database"}}
# Faults that somebody may make, each with what is found.
FAULTS = {
    ("enforce_ssl=True,\n            minimum_tls_version=1.2,", "enforce_ssl=False,"): "AwsSolutions-S10",
    (
        'server_access_logs_bucket=self.access_logs,\n            server_access_logs_prefix=f"{name.lower()}/",',
        "",
    ): "AwsSolutions-S1",
    ("deletion_protection=True", "deletion_protection=False"): "AwsSolutions-RDS10",
    ("storage_encryption_key=self.key", "storage_encrypted=False"): "AwsSolutions-RDS2",
    ('READ = ["s3:GetObject"]', 'READ = ["s3:Get*"]'): "AwsSolutions-IAM5",
}


@pytest.fixture(scope="module")
def project(bake: Bake) -> BakedProject:
    """A project whose stacks are synthesised as the page says, with a third one for a cluster that is there."""
    project = bake(platforms="aws")
    settings = project.path / "deploy/aws/cdk.json"
    content = json.loads(settings.read_text(encoding="utf-8"))
    environments = content["context"]["environments"]
    existing = json.loads(next(step.text for step in steps_of(PAGE) if step.language == "json"))
    environments["existing"] = environments["production"] | existing
    settings.write_text(json.dumps(content), encoding="utf-8")
    Reader(project.path, {"AWS_EC2_METADATA_DISABLED": "true"}).follow(steps_of(PAGE))
    return project


@pytest.fixture(scope="module", params=["staging", "production", "existing"])
def stack(request: pytest.FixtureRequest, project: BakedProject) -> Stack:
    """The stack of each environment."""
    return read_stack(project, request.param)


def test_nothing_is_looked_up_in_an_account_and_no_stack_is_deleted_by_mistake(project: BakedProject) -> None:
    manifest = json.loads((project.path / "var/aws/manifest.json").read_text(encoding="utf-8"))
    stacks = [each for each in manifest["artifacts"].values() if each["type"] == "aws:cloudformation:stack"]
    assert "missing" not in manifest
    assert [each["environment"] for each in stacks] == ["aws://unknown-account/unknown-region"] * 3
    assert all(each["properties"]["terminationProtection"] for each in stacks)


def test_each_finding_is_accepted_with_its_reason(stack: Stack, project: BakedProject) -> None:
    source = (project.path / "deploy/aws/stack.py").read_text(encoding="utf-8")
    assert len(stack.report) > 50
    assert {each["Compliance"] for each in stack.report} == {"Compliant", "Suppressed"}
    reasons = {re.sub(r"^\[.*\] ", "", each["Exception Reason"]) for each in stack.report} - {"N/A"}
    assert len(reasons) >= 3
    assert [each for each in reasons if each not in source] == []
    accepted = stack.accepted()
    assert len(accepted.pop("AwsSolutions-SMG4")) == len(stack.of("SecretsManager::Secret"))
    is_replicated = stack.only("RDS::DBInstance")["MultiAZ"]
    expected = ACCEPTED | ({} if is_replicated else OF_ONE_ZONE)
    if not stack.of("EKS::Cluster"):
        del expected["AwsSolutions-IAM4"]
    assert accepted == expected


def test_buckets_are_versioned_encrypted_private_logged_kept_and_reached_by_tls_only(stack: Stack) -> None:
    buckets = stack.of("S3::Bucket")
    assert len(buckets) == 5
    for name, bucket in buckets.items():
        is_for_logs = name.startswith("AccessLogs")
        [rule] = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        algorithm = rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"]
        denied = [each for each in stack.bucket_policy(name) if each["Effect"] == "Deny" and each["Action"] == "s3:*"]
        assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
        assert algorithm == ("AES256" if is_for_logs else "aws:kms")
        assert list(bucket["PublicAccessBlockConfiguration"].values()) == [True] * 4
        assert ("LoggingConfiguration" in bucket) is not is_for_logs
        assert {"Bool": {"aws:SecureTransport": "false"}} in [each["Condition"] for each in denied]
        assert stack.template["Resources"][name]["DeletionPolicy"] == "Retain"


def test_partitions_ledger_and_models_are_locked(stack: Stack) -> None:
    locked = {
        re.sub(r"[0-9A-F]{8}$", "", name): bucket["ObjectLockConfiguration"]["Rule"]["DefaultRetention"]["Mode"]
        for name, bucket in stack.of("S3::Bucket").items()
        if "ObjectLockConfiguration" in bucket
    }
    assert locked == {"Store": "GOVERNANCE", "Models": "GOVERNANCE"}


def test_database_is_private_encrypted_kept_and_open_to_the_cluster_alone(stack: Stack) -> None:
    database, ingress = stack.only("RDS::DBInstance"), stack.only("EC2::SecurityGroupIngress")
    assert (database["Engine"], database["PubliclyAccessible"], database["StorageEncrypted"]) == (
        "postgres",
        False,
        True,
    )
    assert database["DeletionProtection"]
    assert database["BackupRetentionPeriod"] >= 7
    assert database["ManageMasterUserPassword"]
    assert "MasterUserPassword" not in database
    assert stack.only("RDS::DBParameterGroup")["Parameters"] == {"rds.force_ssl": "1"}
    assert database["VPCSecurityGroups"] == [ingress["GroupId"]]
    assert all("SecurityGroupIngress" not in group for group in stack.of("EC2::SecurityGroup").values())
    assert "CidrIp" not in ingress
    assert set(words_of([ingress["SourceSecurityGroupId"]])) & {"sg-0123456789abcdef0", "ClusterSecurityGroupId"}


def test_tags_of_images_never_move_and_each_image_is_scanned(stack: Stack) -> None:
    repositories = list(stack.of("ECR::Repository").values())
    assert [each["ImageTagMutability"] for each in repositories] == ["IMMUTABLE"] * 2
    assert [each["ImageScanningConfiguration"] for each in repositories] == [{"ScanOnPush": True}] * 2


@pytest.mark.parametrize("role", PERMISSIONS)
def test_role_may_do_what_its_pods_need_and_nothing_else(stack: Stack, role: str) -> None:
    found: dict[str, set[str]] = {}
    for statement in stack.role_policy(role):
        assert statement["Effect"] == "Allow"
        for resource in statement["Resource"]:
            found.setdefault(resource, set()).update(statement["Action"])
    assert found == PERMISSIONS[role]


def test_only_actions_of_the_roles_are_named(stack: Stack) -> None:
    policies = [each["PolicyDocument"]["Statement"] for each in stack.of("IAM::Policy").values()]
    assert not [each for each in policies for word in words_of([one["Action"] for one in each]) if "*" in word]


@pytest.mark.parametrize(
    ("role", "prefixes"), [("Tasks", {"store/*"}), ("Api", {"store/ledger/*", "store/predictions/*"})]
)
def test_role_lists_its_own_folders_of_a_shared_bucket(stack: Stack, role: str, prefixes: set[str]) -> None:
    listing = [
        each
        for each in stack.role_policy(role)
        if each["Action"] == ["s3:ListBucket"] and each["Resource"] == ["Store"]
    ]
    assert {each["Condition"]["StringLike"]["s3:prefix"] for each in listing} == prefixes


def test_only_the_pods_of_a_service_account_get_its_role(stack: Stack) -> None:
    associations = list(stack.of("EKS::PodIdentityAssociation").values())
    roles = stack.of("IAM::Role")
    assert {each["ServiceAccount"] for each in associations} >= {"airflow-worker", "mlflow", "api"}
    for each in associations:
        [trust] = roles[each["RoleArn"]["Fn::GetAtt"][0]]["AssumeRolePolicyDocument"]["Statement"]
        tags = trust["Condition"]["StringEquals"]
        assert trust["Principal"] == {"Service": "pods.eks.amazonaws.com"}
        assert trust["Action"] == ["sts:AssumeRole", "sts:TagSession"]
        assert each["ServiceAccount"] in tags["aws:RequestTag/kubernetes-service-account"]
        assert each["Namespace"] == tags["aws:RequestTag/kubernetes-namespace"]


def test_no_secret_is_in_a_template(stack: Stack) -> None:
    for secret in stack.of("SecretsManager::Secret").values():
        if "GenerateSecretString" not in secret:
            assert "{{resolve:secretsmanager:" in "".join(words_of(secret["SecretString"]))
    said = [word for word in words_of(stack.template["Outputs"]) if "resolve:" in word]
    assert not said


def test_cluster_is_reached_from_within_logs_all_and_keeps_its_nodes_role_from_pods(project: BakedProject) -> None:
    stack = read_stack(project, "staging")
    cluster, node = stack.only("EKS::Cluster"), stack.only("EC2::LaunchTemplate")["LaunchTemplateData"]
    network = cluster["ResourcesVpcConfig"]
    assert (network["EndpointPrivateAccess"], network["EndpointPublicAccess"]) == (True, False)
    assert len(cluster["Logging"]["ClusterLogging"]["EnabledTypes"]) == 5
    assert cluster["EncryptionConfig"][0]["Resources"] == ["secrets"]
    assert node["MetadataOptions"] == {"HttpTokens": "required", "HttpPutResponseHopLimit": 1}


def test_cluster_that_is_there_is_used_and_left_as_it_is(project: BakedProject) -> None:
    stack = read_stack(project, "existing")
    assert not [kind for kind in ("Cluster", "Nodegroup", "Addon") if stack.of(f"EKS::{kind}")]
    assert not stack.of("EC2::VPC")
    assert {each["ClusterName"] for each in stack.of("EKS::PodIdentityAssociation").values()} == {"shared"}
    assert len(stack.only("RDS::DBSubnetGroup")["SubnetIds"]) == 2


def test_page_names_each_value_and_each_secret_of_the_stack(stack: Stack) -> None:
    page = PAGE.read_text(encoding="utf-8")
    values = {each["Description"] for each in stack.template["Outputs"].values()}
    secrets = {each["Name"].split("/")[1] for each in stack.of("SecretsManager::Secret").values()}
    assert [name for name in sorted(values | secrets) if name not in page] == []


def test_fault_is_found_and_fails_make_aws(project: BakedProject) -> None:
    source = project.path / "deploy/aws/stack.py"
    before = faulty = source.read_text(encoding="utf-8")
    for right, wrong in FAULTS:
        assert faulty.count(right) == 1, right
        faulty = faulty.replace(right, wrong)
    source.write_text(faulty, encoding="utf-8")
    try:
        done = project.run("make", "aws")
    finally:
        source.write_text(before, encoding="utf-8")
    assert done.returncode != 0
    found = set(re.findall(r"^/flight-delays-staging/\S+: (AwsSolutions-\w+)", done.stderr, re.MULTILINE))
    assert found == set(FAULTS.values())
    assert f"/flight-delays-staging/Store/Resource: {FAULTS[next(iter(FAULTS))]}" in done.stderr


@pytest.fixture
def database() -> Iterator[PostgreSQL]:
    """A server of PostgreSQL."""
    with postgresql() as server:
        yield server


def test_databases_are_made_by_an_administrator_who_is_no_superuser(
    project: BakedProject, database: PostgreSQL, tmp_path: Path
) -> None:
    database.psql("create role administrator login createrole createdb password 'change'", tmp_path, "postgres")
    access = {"PGHOST": "127.0.0.1", "PGPORT": str(database.port), "PGUSER": "administrator", "PGPASSWORD": "change"}
    passwords = {"AIRFLOW_PASSWORD": "one'word", "MLFLOW_PASSWORD": "another"}
    path = f"{database.programs}:{os.environ['PATH']}"
    script = (project.path / "deploy/aws/databases.sh").read_text(encoding="utf-8")

    def call(command: list[str], given: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        variables = os.environ | access | environment | {"PATH": path}
        return subprocess.run(command, env=variables, input=given, capture_output=True, text=True, check=False)

    missing = call(["sh", "-s"], script, **dict(list(passwords.items())[:1]))
    assert missing.returncode != 0
    assert "MLFLOW_PASSWORD" in missing.stderr
    made = call(["sh", "-s"], script, **passwords)
    assert (made.returncode, made.stderr) == (0, "")
    for name, other in (("airflow", "mlflow"), ("mlflow", "airflow")):
        own = {"PGUSER": name, "PGPASSWORD": passwords[f"{name.upper()}_PASSWORD"]}
        table = ["psql", "--no-psqlrc", "--dbname", name, "--command", "create table made (id int)"]
        assert call(table, **own).returncode == 0
        refused = call([*table[:3], other, *table[4:]], **own)
        assert "permission denied for database" in refused.stderr


def test_folder_may_be_deleted_as_a_whole(project: BakedProject) -> None:
    listed = succeed(project, "make", "help")
    folder = project.path / "deploy/aws"
    away = folder.rename(project.path / "var" / "deleted")
    try:
        without = succeed(project, "make", "help")
    finally:
        away.rename(folder)
    assert "make aws " in listed
    assert listed.replace(next(line for line in listed.splitlines(keepends=True) if "make aws " in line), "") == without
