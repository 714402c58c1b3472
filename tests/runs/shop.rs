//! A Deployment with data and a repository that has a first backup of it: what most failures begin with.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::documents::{Configuration, deployment, repository};
use crate::ground::SOON;
use crate::harness::wait::eventually;
use crate::scene::{CONFIGURATIONS, Scene, condition, hosts};

/// Where the data is, as the documents below know it.
pub(crate) struct Shop {
    pub(crate) scene: Scene,
    pub(crate) data: PathBuf,
}

impl Shop {
    pub(crate) async fn open(name: &str) -> Option<Self> {
        let scene = Scene::new(name).await?;
        Some(Self::of(scene).await)
    }

    pub(crate) async fn of(scene: Scene) -> Self {
        let configuration = Configuration::new("web", "Deployment", "web").yaml();
        scene.apply(&[repository(), deployment("web"), configuration].join("---\n")).await;
        let data = scene.volume("web").await;
        eventually(SOON, "the volume", async || std::fs::write(data.join("data.txt"), "sample_data")).await;
        scene.backed_up("web").await;
        Self { scene, data }
    }

    /// Merged into the `spec` of the configuration.
    pub(crate) async fn set(&self, spec: Value) {
        self.scene.merge(CONFIGURATIONS, "web", json!({"spec": spec})).await;
        self.scene.ready("web").await;
    }

    /// The next session fails with this reason in its host and in the configuration; gives the session.
    pub(crate) async fn fails(&self, configuration: &str, reason: &str) -> Value {
        self.scene.ready(configuration).await;
        let session = self.scene.trigger(configuration);
        self.failed(configuration, &session, reason).await
    }

    pub(crate) async fn failed(&self, configuration: &str, session: &str, reason: &str) -> Value {
        let session = self.scene.ended(session).await;
        let status = &session["status"];
        assert_eq!(status["phase"], "Failed", "{status:#}");
        let errors: Vec<String> = hosts(status).into_iter().map(|(.., error)| error).collect();
        let said = |error: &String| error.starts_with(&format!("{reason}: "));
        assert!(!errors.is_empty() && errors.iter().all(said), "{reason} is not the reason: {status:#}");
        let expected = ("False".to_owned(), reason.to_owned());
        self.scene
            .once(CONFIGURATIONS, configuration, "the last backup has failed", |object| {
                condition(&object["status"], "LastBackupSucceeded") == expected
            })
            .await;
        session
    }

    /// The next session succeeds, and leaves the repository sound and free.
    pub(crate) async fn recovers(&self) {
        self.scene.backed_up("web").await;
        self.scene.restic("backups").await.is_sound();
    }
}
