//! The catalogue as objects: Functions in an image of ours, and the Tasks that call them.

use serde_json::{Value, json};

use super::{Member, PVC_BACKUP, PVC_RESTORE, UPDATE_STATUS};

const API_VERSION: &str = "stash.appscode.com/v1beta1";
/// Where a step leaves what it has to say, for the next one.
const OUTPUT_FOLDER: &str = "/stash-tmp/output";
/// What a Task on a claim calls the volume.
const CLAIM_VOLUME: &str = "stash-volume";

/// All Functions, then all Tasks.
pub fn objects(image: &str) -> Vec<Value> {
    let of_claims = [PVC_BACKUP, PVC_RESTORE];
    let names: Vec<String> =
        of_claims.map(str::to_owned).into_iter().chain(Member::all().map(|one| one.name())).collect();
    let functions = std::iter::once(UPDATE_STATUS).chain(names.iter().map(String::as_str));
    let functions = functions.filter_map(|name| function(name, image));
    functions.chain(names.iter().filter_map(|name| task(name))).collect()
}

/// The built-in Function of that name.
pub fn function(name: &str, image: &str) -> Option<Value> {
    let (args, mounts) = match name {
        PVC_BACKUP | PVC_RESTORE => {
            (vec![name.to_owned()], Some(json!([{"name": "${targetVolume}", "mountPath": "${TARGET_MOUNT_PATH}"}])))
        }
        UPDATE_STATUS => (vec![name.to_owned(), "--output-dir=${outputDir:=}".to_owned()], None),
        of_addon => {
            let member = Member::of(of_addon)?;
            let flags =
                member.parameters().map(|one| format!("--{}=${{{}:={}}}", flag(one.name), one.name, one.default));
            (std::iter::once(member.step()).chain(flags).collect(), None)
        }
    };
    let args: Vec<String> = std::iter::once("agent".to_owned()).chain(args).collect();
    let mut spec = json!({"image": image, "args": args});
    if let Some(mounts) = mounts {
        spec["volumeMounts"] = mounts;
    }
    Some(object("Function", name, &spec))
}

/// The built-in Task of that name: the Function of the same name, then the status.
pub fn task(name: &str) -> Option<Value> {
    let output = json!({"name": "outputDir", "value": OUTPUT_FOLDER});
    let status = json!({"name": UPDATE_STATUS, "params": [output]});
    let spec = match name {
        PVC_BACKUP | PVC_RESTORE => json!({
            "steps": [{"name": name, "params": [output, {"name": "targetVolume", "value": CLAIM_VOLUME}]}, status],
            "volumes": [{"name": CLAIM_VOLUME, "persistentVolumeClaim": {"claimName": "${TARGET_NAME}"}}],
        }),
        of_addon => {
            Member::of(of_addon)?;
            json!({"steps": [{"name": name, "params": [output]}, status]})
        }
    };
    Some(object("Task", name, &spec))
}

fn object(kind: &str, name: &str, spec: &Value) -> Value {
    let labels = json!({"app.kubernetes.io/name": "holdfast"});
    json!({"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name, "labels": labels}, "spec": spec})
}

/// `initialCluster`, `backupCMD` and `MAX_CONCURRENCY` as flags are called.
fn flag(parameter: &str) -> String {
    let mut flag = String::with_capacity(parameter.len() + 4);
    let mut after_small = false;
    for c in parameter.chars() {
        if c == '_' || (after_small && c.is_ascii_uppercase()) {
            flag.push('-');
        }
        if c != '_' {
            flag.push(c.to_ascii_lowercase());
        }
        after_small = c.is_ascii_lowercase();
    }
    flag
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn catalogue_flags_are_called_as_flags_are() {
        for (parameter, wanted) in [
            ("args", "args"),
            ("initialClusterToken", "initial-cluster-token"),
            ("backupCMD", "backup-cmd"),
            ("MAX_CONCURRENCY", "max-concurrency"),
            ("ignoreGroupKinds", "ignore-group-kinds"),
        ] {
            assert_eq!(flag(parameter), wanted);
        }
    }

    #[test]
    fn catalogue_function_shows_step_parameters_and_image() {
        let function = function("mysql-backup-8.0.14", "example.org/holdfast:1").unwrap();
        let wanted = json!({
            "image": "example.org/holdfast:1",
            "args": [
                "agent", "mysql-backup", "--args=${args:=--all-databases}", "--multi-dump-args=${multiDumpArgs:=}",
                "--wait-timeout=${waitTimeout:=300}",
            ],
        });
        assert_eq!(function["spec"], wanted);
        assert_eq!(task("update-status"), None);
    }
}
