//! The overview for clients that are not browsers: commands to copy.

use crate::fixtures::{API_KEY_SECRET_NAME, AUTH_TOKEN_SECRET, OUR_NUMBER, TABLE_NAME};
use fake_twilio::TwilioAccount;

/// The overview of the system at this address.
#[must_use]
pub fn overview(base_url: &str, account: &TwilioAccount) -> String {
    let TwilioAccount { account_sid, auth_token, api_key_sid, api_key_secret, .. } = account;
    format!(
        r#"All of Tollgate on this machine. Nothing leaves 127.0.0.1; no SMS is sent or paid for.

Open {base_url} in a browser for the page with your app, the limits and the phones.
docs/local.md describes the API, the faults and the magic numbers.

Request a code, as your app's back end would. Any AWS SDK works with this address as its endpoint and any credentials:
  export AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local AWS_REGION=us-east-1 AWS_DEFAULT_REGION=us-east-1
  curl -s {base_url}/2015-03-31/functions/send-code/invocations -d '{{"phone_number":"+14155550123","ip":"203.0.113.7","code":"493027"}}'; echo
  aws lambda invoke --endpoint-url {base_url} --function-name send-code --payload fileb://events/send-code.json /dev/stdout | cat
  (Run these in the repository. PhoneLimit refuses a second code to the same number within 30 seconds.)

Check the code. VERIFICATION is the `verification` of the answer:
  curl -s {base_url}/2015-03-31/functions/check-code/invocations -d '{{"phone_number":"+14155550123","verification":"VERIFICATION","code":"493027"}}'; echo

Read the SMS on its phone as soon as it arrives, with the code extracted:
  curl -s '{base_url}/phones/+14155550123/messages?wait=10s'

List the messages of the fake Twilio, whose base URL for Twilio clients is also this address:
  curl -s -u {api_key_sid}:{api_key_secret} {base_url}/2010-04-01/Accounts/{account_sid}/Messages.json

Text the service from a phone and see its reply (the webhook is POST {base_url}/sms, signed):
  curl -s '{base_url}/phones/+14155550123/messages' -H 'Content-Type: application/json' -d '{{"body":"Hello"}}'; echo

Sign the webhook yourself:
  URL={base_url}/sms
  SIGNED=$(printf %s "${{URL}}AccountSid{account_sid}BodyHelloFrom+14155550123MessageSidSM00000000000000000000000000000001To{OUR_NUMBER}" | openssl dgst -sha1 -hmac {auth_token} -binary | base64)
  curl -s $URL -H "X-Twilio-Signature: $SIGNED" --data-urlencode AccountSid={account_sid} --data-urlencode Body=Hello \
    --data-urlencode From=+14155550123 --data-urlencode MessageSid=SM00000000000000000000000000000001 --data-urlencode To={OUR_NUMBER}

Read the table. Its keys contain no phone numbers; inbound messages are stored in plain text:
  aws dynamodb scan --endpoint-url {base_url} --table-name {TABLE_NAME}

Inject a fault, move the clock, start over:
  curl -s {base_url}/faults -H 'Content-Type: application/json' -d '{{"kind":"timeout","times":1}}'; echo
  curl -s {base_url}/clock -H 'Content-Type: application/json' -d '{{"advance":"1h"}}'; echo
  curl -s -X DELETE {base_url}/phones

Read the secrets {AUTH_TOKEN_SECRET} and {API_KEY_SECRET_NAME}:
  aws secretsmanager get-secret-value --endpoint-url {base_url} --secret-id {AUTH_TOKEN_SECRET}

The fake Twilio's account: {account_sid}, number {OUR_NUMBER}
Auth token, signs:         {auth_token}
API key, sends:            {api_key_sid}, secret {api_key_secret}
"#
    )
}
