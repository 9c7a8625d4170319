//! A command that measures the machine in our place, and what it prints: one metric a line, as TorchServe's own script
//! prints them, up to an empty line. (What follows there is the memory of Python workers.)

use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::process::Command;
use tracing::warn;

use super::Sample;

/// How long a command may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// The most bytes that are read of what it prints.
const MOST: u64 = 1 << 20;

/// Runs `command`, words between blanks. A Python script is run by `python3`, because TorchServe runs all of them so.
pub(super) async fn samples(command: &str) -> Vec<Sample> {
    let mut words: Vec<&str> = command.split_whitespace().collect();
    if words.first().is_some_and(|word| word.ends_with(".py")) {
        words.insert(0, "python3");
    }
    match output(&words).await {
        Ok(output) => parse(&output),
        Err(error) => {
            warn!("system_metrics_cmd: {error}");
            Vec::new()
        }
    }
}

/// What the command prints on standard output. It is killed when it takes too long, or when this is dropped.
pub(super) async fn output(words: &[&str]) -> Result<String, String> {
    let Some((program, arguments)) = words.split_first() else {
        return Err("it is empty".to_owned());
    };
    let run = async {
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let mut printed = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            stdout.take(MOST).read_to_end(&mut printed).await?;
        }
        let status = child.wait().await?;
        Ok::<_, std::io::Error>((status, printed))
    };
    match tokio::time::timeout(PATIENCE, run).await {
        Ok(Ok((status, printed))) if status.success() => {
            Ok(String::from_utf8_lossy(&printed).into_owned())
        }
        Ok(Ok((status, _))) => Err(format!("{program} ended with {status}")),
        Ok(Err(error)) => Err(format!("{program}: {error}")),
        Err(_) => Err(format!("{program} took more than {} s", PATIENCE.as_secs())),
    }
}

fn parse(output: &str) -> Vec<Sample> {
    let lines = output.lines().take_while(|line| !line.is_empty());
    lines
        .filter_map(|line| {
            let sample = parse_line(line);
            if sample.is_none() {
                let shown: String = line.chars().take(200).collect();
                warn!("system_metrics_cmd: not a metric: {shown}");
            }
            sample
        })
        .collect()
}

/// `Name.Unit:value|#Dim:val,…|#hostname:h,time`, perhaps with `|#type:…` before the host. Unit, host and time are
/// known better here.
fn parse_line(line: &str) -> Option<Sample> {
    let mut parts = line.split("|#");
    let (metric, value) = parts.next()?.rsplit_once(':')?;
    let (name, _unit) = metric.split_once('.')?;
    let labels = parts.next()?.split(',');
    let labels = labels.map(|pair| pair.split_once(':').map(|(_, value)| value.to_owned()));
    let mut rest = parts.skip_while(|part| part.starts_with("type:"));
    rest.next()?.strip_prefix("hostname:")?;
    let value = value.trim().parse().ok();
    Some(Sample {
        name: name.trim().to_owned(),
        labels: labels.collect::<Option<_>>()?,
        value: value.filter(|value: &f64| value.is_finite())?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_metrics_up_to_the_first_empty_one() {
        let output = "CPUUtilization.Percent:12.5|#Level:Host|#hostname:h,timestamp:1650953744\n\
                      GPUUtilization.Percent:3|#Level:Host,DeviceId:1|#type:GAUGE|#hostname:h,1650953744\n\
                      Load.Count:-1.5e2|#Level:Host|#hostname:h,1\n\
                      nonsense\n\
                      \n\
                      4711:123456\n";
        let expected = vec![
            Sample::host("CPUUtilization", 12.5),
            Sample::device("GPUUtilization", "1", 3.0),
            Sample::host("Load", -150.0),
        ];
        assert_eq!(parse(output), expected);
    }

    #[test]
    fn what_is_no_metric_is_left_out() {
        for line in [
            "",
            "Name:1|#Level:Host|#hostname:h,1",
            "Name.Unit:x|#Level:Host|#hostname:h,1",
            "Name.Unit:NaN|#Level:Host|#hostname:h,1",
            "Name.Unit:1|#Level|#hostname:h,1",
            "Name.Unit:1|#Level:Host",
            "Name.Unit:1",
        ] {
            assert_eq!(parse_line(line), None, "{line}");
        }
    }

    #[tokio::test]
    async fn a_command_that_fails_says_so() {
        let said = |words: &'static [&str]| async move { output(words).await.unwrap_err() };
        assert_eq!(said(&["false"]).await, "false ended with exit status: 1");
        let absent = said(&["/nowhere/command"]).await;
        assert!(
            absent.starts_with("/nowhere/command: No such file"),
            "{absent}"
        );
        assert_eq!(said(&[]).await, "it is empty");
        assert_eq!(output(&["echo", "a b"]).await.as_deref(), Ok("a b\n"));
    }
}
