"""The secrets that the service and its senders share in the tests; apart, so that senders start fast."""

STRIPE_SECRET = "whsec_of_the_system_tests"
GITHUB_SECRET = "github-secret-of-the-system-tests"
SLACK_SECRET = "slack-secret-of-the-system-tests"

SECRETS = {
    "STRIPE_WEBHOOK_SECRET": STRIPE_SECRET,
    "GITHUB_WEBHOOK_SECRET": GITHUB_SECRET,
    "SLACK_SIGNING_SECRET": SLACK_SECRET,
}
