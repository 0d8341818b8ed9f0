"""The official SDKs, unmodified, pointed at a server on loopback."""

from alibabacloud_bssopenapi20171214 import models as bss
from alibabacloud_bssopenapi20171214.client import Client as BssClient
from alibabacloud_dm20151123 import models as dm
from alibabacloud_dm20151123.client import Client as DmClient
from alibabacloud_tea_openapi import utils_models
from alibabacloud_tea_openapi.exceptions import ClientException, ServerException, ThrottlingException

__all__ = ["bss", "dm", "ClientException", "ServerException", "ThrottlingException", "Sdk"]


class Sdk:
    """Both clients of one access key."""

    def __init__(self, endpoint: str, key_id: str, secret: str, signature_algorithm: str | None = None):
        def config():
            made = utils_models.Config(
                access_key_id=key_id, access_key_secret=secret, endpoint=endpoint, protocol="http",
                region_id="cn-hangzhou", read_timeout=30000, connect_timeout=5000)
            if signature_algorithm:
                made.signature_algorithm = signature_algorithm
            return made

        self.dm = DmClient(config())
        self.bss = BssClient(config())

    def send(self, sender: str, to: str, subject: str = "Hello", text: str = "Body", **more) -> str:
        """SingleSendMail; returns the EnvId."""
        request = dm.SingleSendMailRequest(
            account_name=sender, address_type=1, reply_to_address=False, to_address=to, subject=subject,
            **({"text_body": text} if text is not None else {}), **more)
        return self.dm.single_send_mail(request).body.env_id

    def summary(self):
        return self.dm.desc_account_summary(dm.DescAccountSummaryRequest()).body

    def packages(self):
        body = self.bss.query_resource_package_instances(
            bss.QueryResourcePackageInstancesRequest(product_code="dm")).body
        assert body.success, body.message
        return body.data.instances.instance or []

    def buy(self, specification: str = "50000"):
        return self.bss.create_resource_package(bss.CreateResourcePackageRequest(
            product_code="dm", package_type="FPT_dm_package", specification=specification, duration=6,
            pricing_cycle="Month")).body

    def balance(self):
        return self.bss.query_account_balance().body.data

    def sending_details(self, to: str):
        body = self.dm.sender_statistics_detail_by_param(
            dm.SenderStatisticsDetailByParamRequest(to_address=to, length=100)).body
        return body.data.mail_detail or []
