"""Ready-made commands for the user of a running stack.

With Grove there are no Deployments to get logs from, and a DynamoGraphDeployment's name has a random suffix: the
commands use the labels and the Service that this program creates itself.
"""

from __future__ import annotations

from typing import Final

from manifests.gcsfuse import model_path
from reference.flows import FRONTEND_PORT
from reference.naming import ROLE_LABEL, STACK_LABEL
from serving_rules.layout import Layout

READINESS_NAME: Final = "readiness-check"
BARRIER_NAME: Final = "teardown-barrier"
"""Names of the Job of the readiness check and of the Deployment of the teardown barrier, and of their other objects,
one of each in a stack's namespace."""
DOWNLOAD_NAME: Final = "model-download"
"""What the pods of downloads are called by their label."""


def service_name(stack: str) -> str:
    """Name of the stack's own Service; it stays when the DynamoGraphDeployment is replaced."""
    return f"{stack}-frontend"


def bench_name(stack: str) -> str:
    """Name of the benchmark client's Deployment."""
    return f"{stack}-bench"


def logs(stack: str, namespace: str) -> dict[str, str]:
    """For each role, the command that follows the logs of all its pods."""
    roles = ("frontend", "prefill", "decode")
    return {
        role: f"kubectl logs -n {namespace} -l {STACK_LABEL}={stack},{ROLE_LABEL}={role} "
        "--all-containers=false -c main --prefix --max-log-requests 20 -f"
        for role in roles
    }


def readiness(namespace: str) -> str:
    """The command that follows the readiness check while `pulumi up` waits for it."""
    return f"kubectl logs -n {namespace} job/{READINESS_NAME} -f --pod-running-timeout=15m"


def request(stack: str, namespace: str, layout: Layout) -> str:
    """One small chat completion through a port-forward: an answer proves that prefill and decode work."""
    service = service_name(stack)
    body = f'{{"model": "{layout.model}", "max_tokens": 16, "messages": [{{"role": "user", "content": "Say hello."}}]}}'
    return (
        f"kubectl port-forward -n {namespace} service/{service} {FRONTEND_PORT} & sleep 3; "
        f"curl -s localhost:{FRONTEND_PORT}/v1/chat/completions -H 'Content-Type: application/json' "
        f"-d '{body}'; kill %1"
    )


def benchmark(stack: str, namespace: str, layout: Layout) -> str:
    """The recipe's first benchmark: completions from the benchmark client, through the Service."""
    base = f"http://{service_name(stack)}:{FRONTEND_PORT}"
    return f"kubectl exec -n {namespace} deployment/{bench_name(stack)} -- {_bench(layout, 'sglang-oai', base)}"


def benchmark_in_frontend(stack: str, namespace: str, layout: Layout) -> str:
    """The recipe's second benchmark: chat completions from inside one frontend pod."""
    selector = f"{STACK_LABEL}={stack},{ROLE_LABEL}=frontend"
    pod = f"$(kubectl get pod -n {namespace} -l {selector} -o name | head -n 1)"
    command = _bench(layout, "sglang-oai-chat", f"http://localhost:{FRONTEND_PORT}")
    return f"kubectl exec -n {namespace} {pod} -c main -- {command}"


def _bench(layout: Layout, backend: str, base_url: str) -> str:
    load = layout.file.benchmark
    return (
        f"python3 -u -m sglang.bench_serving --backend {backend} --base-url {base_url} "
        f"--model {layout.model} --tokenizer {model_path(layout.model)} --dataset-name random "
        f"--num-prompts {load.prompts} --random-input-len {load.input_tokens} "
        f"--random-output-len {load.output_tokens} --random-range-ratio {load.range_ratio} "
        f"--max-concurrency {load.concurrency}"
    )
