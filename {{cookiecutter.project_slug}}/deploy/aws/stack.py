"""What a project needs in an account of AWS, as one stack of CloudFormation for each environment of cdk.json."""

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_eks_v2 as eks
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_rds as rds
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_secretsmanager as secretsmanager
from cdk_nag import NagSuppressions
from constructs import Construct

READ = ["s3:GetObject"]
# Never a version of an object, nor a lock: what is deleted can be restored.
WRITE = [*READ, "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]
# For cdk-nag: all objects of a bucket that is named, or of a folder in it. Another wildcard remains a finding.
OBJECTS = {"regex": r"/^Resource::<\w+\.Arn>(\/\w+)*\/\*$/"}
STORE = "store"  # the folder of `[storage] uri` in its bucket
# NetworkPolicies are enforced by the first, HPAs need the last; pods get their roles from the agent.
ADDONS: dict[str, dict[str, Any]] = {
    "vpc-cni": {"enableNetworkPolicy": "true"},
    "eks-pod-identity-agent": {},
    "metrics-server": {},
}


class Platform(cdk.Stack):
    """Network, cluster, buckets, database, registry of images, secrets, and roles of pods."""

    def __init__(self, scope: Construct, name: str, settings: dict[str, Any]) -> None:
        super().__init__(scope, name, termination_protection=True)
        self.settings = settings
        self.key = kms.Key(self, "Key", enable_key_rotation=True, alias=f"alias/{name}")
        self.access_logs = s3.Bucket(
            self,
            "AccessLogs",
            encryption=s3.BucketEncryption.S3_MANAGED,  # S3 delivers access logs to no other
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            enforce_ssl=True,
            versioned=True,
            lifecycle_rules=[expire(settings["logs_days"])],
        )
        if settings["cluster"]:
            self.use_cluster(settings["cluster"])
        else:
            self.make_cluster()
        self.give("CLUSTER", self.cluster_name)
        self.give("AWS_DEFAULT_REGION", self.region)
        self.make_buckets()
        self.make_database()
        self.make_secrets()
        self.make_roles()
        for image in ("IMAGE", "API_IMAGE"):
            self.make_repository(image)
        suppress(self, "SMG4", "the program that holds the secret has to be restarted with it: see the page on AWS")

    def use_cluster(self, existing: dict[str, Any]) -> None:
        """Stay in the network of a cluster that is there; nothing of it is looked up or changed."""
        self.network = ec2.Vpc.from_vpc_attributes(
            self,
            "Network",
            vpc_id=existing["vpc"],
            availability_zones=existing["availability_zones"],
            private_subnet_ids=existing["private_subnets"],
        )
        self.database_subnets = ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS)
        self.pods = ec2.SecurityGroup.from_security_group_id(self, "Pods", existing["security_group"])
        self.cluster_name = existing["name"]

    def make_cluster(self) -> None:
        """Make a network and a cluster whose API is reached from within it only."""
        private, isolated = ec2.SubnetType.PRIVATE_WITH_EGRESS, ec2.SubnetType.PRIVATE_ISOLATED
        self.network = ec2.Vpc(
            self,
            "Network",
            max_azs=2,
            nat_gateways=self.settings["nat_gateways"],
            subnet_configuration=[
                ec2.SubnetConfiguration(
                    name="public", subnet_type=ec2.SubnetType.PUBLIC, map_public_ip_on_launch=False
                ),
                ec2.SubnetConfiguration(name="pods", subnet_type=private, cidr_mask=18),
                ec2.SubnetConfiguration(name="database", subnet_type=isolated, cidr_mask=24),
            ],
            gateway_endpoints={"S3": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.S3)},
            flow_logs={"All": ec2.FlowLogOptions()},
        )
        self.database_subnets = ec2.SubnetSelection(subnet_type=isolated)
        cluster = eks.Cluster(
            self,
            "Cluster",
            version=eks.KubernetesVersion.V1_36,
            vpc=self.network,
            vpc_subnets=[ec2.SubnetSelection(subnet_type=private)],
            endpoint_access=eks.EndpointAccess.PRIVATE,
            cluster_logging=list(eks.ClusterLoggingTypes),
            secrets_encryption_key=self.key,
            default_capacity_type=eks.DefaultCapacityType.NODEGROUP,
            default_capacity=0,
            output_config_command=False,
        )
        if self.settings["administrator"]:
            cluster.grant_cluster_admin("Administrator", self.settings["administrator"])
        for name, values in ADDONS.items():
            eks.Addon(self, name, cluster=cluster, addon_name=name, configuration_values=values)
        self.make_nodes(cluster)
        self.pods, self.cluster_name = cluster.cluster_security_group, cluster.cluster_name
        suppress(cluster, "IAM4", "EKS prescribes these policies of AWS for its control plane and its nodes")

    def make_nodes(self, cluster: eks.Cluster) -> None:
        """Make the group of nodes; a pod cannot reach the metadata, so it cannot act as its node."""
        nodes = self.settings["nodes"]
        disk = ec2.BlockDeviceVolume.ebs(50, encrypted=True, volume_type=ec2.EbsDeviceVolumeType.GP3)
        template = ec2.LaunchTemplate(
            self,
            "Node",
            require_imdsv2=True,
            http_put_response_hop_limit=1,
            block_devices=[ec2.BlockDevice(device_name="/dev/xvda", volume=disk)],
        )
        cluster.add_nodegroup_capacity(
            "Nodes",
            instance_types=[ec2.InstanceType(nodes["type"])],
            min_size=nodes["min"],
            max_size=nodes["max"],
            force_update=False,  # an update waits for PodDisruptionBudgets
            launch_template_spec=eks.LaunchTemplateSpec(
                id=template.launch_template_id or "", version=template.latest_version_number
            ),
        )

    def make_buckets(self) -> None:
        """Make a bucket for each kind of object; partitions, ledger and models are locked for a time."""
        self.source = self.make_bucket("Source")
        self.store = self.make_bucket("Store", locked_days=self.settings["locked_days"])
        self.models = self.make_bucket("Models", locked_days=self.settings["locked_days"])
        self.logs = self.make_bucket("Logs", expire(self.settings["logs_days"]))
        self.give("SOURCE_BUCKET", self.source.bucket_name)
        self.give("MODELWORKS_STORAGE__URI", f"s3://{self.store.bucket_name}/{STORE}")
        self.give("MLFLOW_ARTIFACTS_DESTINATION", f"s3://{self.models.bucket_name}/mlflow")
        self.give("AIRFLOW__LOGGING__REMOTE_BASE_LOG_FOLDER", f"s3://{self.logs.bucket_name}/airflow")

    def make_bucket(self, name: str, *rules: s3.LifecycleRule, locked_days: int = 0) -> s3.Bucket:
        """Make a bucket: versioned, encrypted, private, reached by TLS only, its accesses logged."""
        lock = s3.ObjectLockRetention.governance(cdk.Duration.days(locked_days)) if locked_days else None
        return s3.Bucket(
            self,
            name,
            versioned=True,
            object_lock_default_retention=lock,
            encryption=s3.BucketEncryption.KMS,
            encryption_key=self.key,
            bucket_key_enabled=True,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            server_access_logs_bucket=self.access_logs,
            server_access_logs_prefix=f"{name.lower()}/",
            lifecycle_rules=[*rules, s3.LifecycleRule(abort_incomplete_multipart_upload_after=cdk.Duration.days(7))],
        )

    def make_database(self) -> None:
        """Make a PostgreSQL server whose administrator's password RDS makes, keeps and rotates."""
        settings = self.settings["database"]
        self.database = rds.DatabaseInstance(
            self,
            "Database",
            engine=rds.DatabaseInstanceEngine.postgres(version=rds.PostgresEngineVersion.VER_17),
            instance_type=ec2.InstanceType(settings["type"]),
            allocated_storage=settings["gib"],
            max_allocated_storage=settings["max_gib"],
            multi_az=settings["replicated"],
            vpc=self.network,
            vpc_subnets=self.database_subnets,
            publicly_accessible=False,
            credentials=rds.Credentials.from_username("postgres"),
            manage_master_user_password=True,
            storage_type=rds.StorageType.GP3,
            storage_encryption_key=self.key,
            backup_retention=cdk.Duration.days(settings["backup_days"]),
            copy_tags_to_snapshot=True,
            deletion_protection=True,
            removal_policy=cdk.RemovalPolicy.RETAIN,
            cloudwatch_logs_exports=["postgresql"],
            parameters={"rds.force_ssl": "1"},  # so no URI has to ask for TLS, which each driver calls otherwise
        )
        self.database.connections.allow_default_port_from(self.pods, "pods of the cluster")
        self.give("PGHOST", self.database.db_instance_endpoint_address)
        assert self.database.secret
        self.give("DATABASE_SECRET", self.database.secret.secret_arn)
        suppress(self.database, "RDS11", "another port hides nothing: only the cluster's security group is let in")
        if not settings["replicated"]:
            suppress(self.database, "RDS3", "settings of this environment: a failure of its zone may stop it")

    def make_secrets(self) -> None:
        """Make a secret for each environment variable that holds one, with the value that the variable has."""
        passwords = {user: self.make_secret(f"{user.upper()}_PASSWORD", 32) for user in ("airflow", "mlflow")}
        uris = {
            user: f"{driver}://{user}:{secret.secret_value.unsafe_unwrap()}@"
            f"{self.database.db_instance_endpoint_address}/{user}"
            for (user, secret), driver in zip(passwords.items(), ("postgresql+psycopg2", "postgresql"), strict=True)
        }
        self.keep_secret("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", uris["airflow"])
        self.keep_secret("MLFLOW_BACKEND_STORE_URI", uris["mlflow"])
        self.make_secret("AIRFLOW__API_AUTH__JWT_SECRET", 64)
        self.make_secret("AIRFLOW__API__SECRET_KEY", 64)
        # 43 characters of base64 and one of padding are the 32 bytes of a Fernet key.
        fernet = self.make_secret("FERNET_KEY_WITHOUT_PADDING", 43)
        self.keep_secret("AIRFLOW__CORE__FERNET_KEY", f"{fernet.secret_value.unsafe_unwrap()}=")

    def make_secret(self, name: str, length: int) -> secretsmanager.Secret:
        """Have Secrets Manager generate letters and digits."""
        characters = secretsmanager.SecretStringGenerator(exclude_punctuation=True, password_length=length)
        return self.add_secret(name, generate_secret_string=characters)

    def keep_secret(self, name: str, value: str) -> None:
        """Keep a value made of other secrets; the template has references to them, which CloudFormation resolves."""
        self.add_secret(name, secret_string_value=cdk.SecretValue.unsafe_plain_text(value))

    def add_secret(self, name: str, **value: Any) -> secretsmanager.Secret:
        """Add a secret below the name of the stack."""
        return secretsmanager.Secret(
            self,
            name.replace("_", ""),
            secret_name=f"{self.stack_name}/{name}",
            encryption_key=self.key,
            removal_policy=cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
            **value,
        )

    def make_roles(self) -> None:
        """Make a role for each kind of pod: what it reads and writes, and nothing else."""
        tasks, logs, mlflow, api = (self.make_role(kind) for kind in ("tasks", "logs", "mlflow", "api"))
        self.allow(tasks, self.source, READ)
        self.allow(tasks, self.store, WRITE, STORE)
        self.allow(tasks, self.logs, WRITE)
        self.allow(logs, self.logs, READ)
        self.allow(mlflow, self.models, WRITE)
        # The API reads who is champion, and logs its predictions; models come from MLflow's server.
        self.allow(api, self.store, READ, f"{STORE}/ledger")
        self.allow(api, self.store, WRITE, f"{STORE}/predictions")

    def make_role(self, kind: str) -> iam.Role:
        """Make a role that EKS Pod Identity gives to the pods of some service accounts."""
        accounts, namespace = self.node.get_context("service_accounts")[kind], self.settings["namespace"]
        tags = {"kubernetes-namespace": namespace, "kubernetes-service-account": accounts}
        conditions = {"StringEquals": {f"aws:RequestTag/{tag}": value for tag, value in tags.items()}}
        principal = iam.ServicePrincipal("pods.eks.amazonaws.com", conditions=conditions)
        role = iam.Role(self, f"{kind.capitalize()}Role", assumed_by=iam.SessionTagsPrincipal(principal))
        for account in accounts:
            eks.CfnPodIdentityAssociation(
                self,
                f"{kind}-{account}",
                cluster_name=self.cluster_name,
                namespace=namespace,
                service_account=account,
                role_arn=role.role_arn,
            )
        return role

    def allow(self, role: iam.Role, bucket: s3.Bucket, actions: list[str], folder: str = "") -> None:
        """Let a role use the objects of a bucket, or of a folder in it, and list them."""
        objects = bucket.arn_for_objects(f"{folder}/*" if folder else "*")
        listing = iam.PolicyStatement(actions=["s3:ListBucket"], resources=[bucket.bucket_arn])
        if folder:
            listing.add_condition("StringLike", {"s3:prefix": f"{folder}/*"})
        role.add_to_policy(listing)
        role.add_to_policy(iam.PolicyStatement(actions=["s3:GetBucketLocation"], resources=[bucket.bucket_arn]))
        role.add_to_policy(iam.PolicyStatement(actions=actions, resources=[objects]))
        self.key.grant(role, "kms:Decrypt", *([] if actions == READ else ["kms:GenerateDataKey"]))
        suppress(role, "IAM5", "names of objects are not known before the objects are there", OBJECTS)

    def make_repository(self, image: str) -> None:
        """Make a repository whose tags never move and whose images are scanned."""
        repository = ecr.Repository(
            self,
            image.replace("_", ""),
            repository_name=self.stack_name + ("-api" if image == "API_IMAGE" else ""),
            removal_policy=cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
            image_tag_mutability=ecr.TagMutability.IMMUTABLE,
            image_scan_on_push=True,
            encryption=ecr.RepositoryEncryption.KMS,
            encryption_key=self.key,
            lifecycle_rules=[ecr.LifecycleRule(tag_status=ecr.TagStatus.UNTAGGED, max_image_age=cdk.Duration.days(14))],
        )
        self.give(image, repository.repository_uri)

    def give(self, variable: str, value: str) -> None:
        """Name a value of the stack by the environment variable that is set to it."""
        cdk.CfnOutput(self, f"Output{variable.replace('_', '')}", description=variable, value=value)


def expire(days: int) -> s3.LifecycleRule:
    """Delete objects some days after they came, and their old versions as late again."""
    after = cdk.Duration.days(days)
    return s3.LifecycleRule(expiration=after, noncurrent_version_expiration=after)


def suppress(construct: Construct, rule: str, reason: str, *applies_to: dict[str, str]) -> None:
    """Accept what a rule of cdk-nag finds in a construct and those in it; reports show the reason."""
    accepted = {"id": f"AwsSolutions-{rule}", "reason": reason}
    if applies_to:
        accepted["appliesTo"] = list(applies_to)
    NagSuppressions.add_resource_suppressions(construct, [accepted], apply_to_children=True)
