//! A signing key that never leaves KMS: key spec `ECC_NIST_EDWARDS25519`.

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_kms::Client;
use aws_sdk_kms::config::Builder;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{MessageType, SigningAlgorithmSpec};
use ed25519_dalek::VerifyingKey;
use ed25519_dalek::pkcs8::DecodePublicKey;
use std::time::Duration;
use torale_platform::audit::seal::{SealError, Signer};
use torale_platform::aws::{self, causes};

/// Longest time for one call, retries included.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Longest time for one attempt.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);

/// A signing key in KMS, with its public half.
#[derive(Debug)]
pub struct KmsKey {
    client: Client,
    id: String,
    key: VerifyingKey,
}

fn failed<E: std::error::Error>(error: &E) -> SealError {
    SealError::Signing(causes(error))
}

impl KmsKey {
    /// The key with this id, ARN or alias in the account.
    ///
    /// # Errors
    /// If KMS does not respond, or the key is not an Ed25519 key.
    pub async fn connect(id: String) -> Result<Self, SealError> {
        Self::new(aws::shared().await.into(), id).await
    }

    /// A key by this client configuration, to which time limits and retries are added. Fetches the public half.
    ///
    /// # Errors
    /// If KMS does not respond, or the key is not an Ed25519 key.
    pub async fn new(config: Builder, id: String) -> Result<Self, SealError> {
        let limits =
            TimeoutConfig::builder().operation_timeout(TIMEOUT).operation_attempt_timeout(ATTEMPT_TIMEOUT);
        let config = config.timeout_config(limits.build());
        let config = config.retry_config(RetryConfig::standard().with_max_attempts(3)).build();
        let client = Client::from_conf(config);
        let answer = client.get_public_key().key_id(&id).send().await.map_err(|e| failed(&e))?;
        let der = answer.public_key.ok_or_else(|| SealError::Signing("no public key".to_owned()))?;
        let key = VerifyingKey::from_public_key_der(der.as_ref()).map_err(|e| failed(&e))?;
        Ok(Self { client, id, key })
    }
}

impl Signer for KmsKey {
    fn key(&self) -> &VerifyingKey {
        &self.key
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SealError> {
        let call = self.client.sign().key_id(&self.id).message(Blob::new(message));
        let call = call.message_type(MessageType::Raw).signing_algorithm(SigningAlgorithmSpec::Ed25519Sha512);
        let answer = call.send().await.map_err(|e| failed(&e))?;
        let signature = answer.signature.ok_or_else(|| SealError::Signing("no signature".to_owned()))?;
        Ok(signature.into_inner())
    }
}
