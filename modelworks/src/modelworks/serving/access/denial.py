"""A request that is denied."""

from modelworks.serving.problems import Refusal


class Denial(Refusal):
    """A refusal because of who asks, or how.

    Parameters
    ----------
    reason : label of `api_denied_requests_total`
    """

    def __init__(
        self, status: int, reason: str, field: str, message: str, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(status, (field, message))
        self.reason = reason
        self.headers = headers
