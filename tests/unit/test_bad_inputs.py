"""A table of wrong layouts and settings, with the whole message that each is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

import settings
from reference.dynamo import PROFILES
from serving_rules import layout, rules
from serving_rules.layout import Layout, Server, WorkerRole

SMALL = "deepseek-r1-fp8-1p1d"
LARGE = "deepseek-r1-fp8-10p8d"
MAX = "deepseek-r1-fp8-12p6d"

Told = tuple[str, object, str, str]
"""File and key below the layout's folder, value, rule, fix."""


@dataclass(frozen=True)
class Bad:
    """One wrong layout: a layout that ships, what is changed in its files (None: taken out), and what is told."""

    name: str
    base: str
    told: list[Told]
    version: str = "0.7.0"
    arguments: Mapping[WorkerRole, Mapping[str, Any]] = field(default_factory=dict)
    environment: Mapping[WorkerRole, Mapping[str, Any]] = field(default_factory=dict)
    file: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def layout(self) -> Layout:
        """The wrong layout, as the release in use runs it."""
        made = layout.resolve(self.base, PROFILES[self.version])
        for role, changes in self.arguments.items():
            made = made.with_server(role, Server(_changed(made.arguments(role), changes), made.environment(role)))
        for role, changes in self.environment.items():
            made = made.with_server(role, Server(made.arguments(role), _changed(made.environment(role), changes)))
        for part, changes in self.file.items():
            owner = getattr(made.file, part).model_copy(update=changes)
            made = replace(made, file=made.file.model_copy(update={part: owner}))
        return made

    @property
    def messages(self) -> list[str]:
        """What is told, as a user reads it."""
        return [
            f"sglang_configs/{self.base}/{key} = {'(not set)' if value is None else repr(value)}\n"
            f"    rule: {rule}\n"
            f"    fix: {fix}"
            for key, value, rule, fix in self.told
        ]


def _changed(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**values, **changes}.items() if value is not None}


BAD = [
    Bad(
        "misspelt",
        SMALL,
        arguments={"decode": {"mem-fraction-statik": 0.9}},
        told=[
            (
                "decode.yaml: mem-fraction-statik",
                0.9,
                "SGLang 0.5.4.post3 has no argument of this name",
                "did you mean 'mem-fraction-static'? or leave it out",
            )
        ],
    ),
    Bad(
        "underscores",
        SMALL,
        arguments={"decode": {"stream_interval": 10}},
        told=[
            (
                "decode.yaml: stream_interval",
                10,
                "SGLang 0.5.4.post3 has no argument of this name",
                "write stream-interval",
            )
        ],
    ),
    Bad(
        "dashes in front",
        SMALL,
        arguments={"prefill": {"--enable-metrics": True}},
        told=[
            (
                "prefill.yaml: --enable-metrics",
                True,
                "SGLang 0.5.4.post3 has no argument of this name: dashes in front are not written",
                "write enable-metrics",
            )
        ],
    ),
    Bad(
        "nothing alike",
        SMALL,
        arguments={"decode": {"zzz": 1}},
        told=[("decode.yaml: zzz", 1, "SGLang 0.5.4.post3 has no argument of this name", "leave it out")],
    ),
    Bad(
        "removed flag",
        LARGE,
        arguments={"decode": {"enable-deepep-moe": True}},
        told=[
            (
                "decode.yaml: enable-deepep-moe",
                True,
                "SGLang 0.5.4.post3 has no argument of this name",
                "write moe-a2a-backend: deepep",
            )
        ],
    ),
    Bad(
        "removed flag of experts",
        LARGE,
        arguments={"prefill": {"enable-ep-moe": True}},
        told=[
            ("prefill.yaml: enable-ep-moe", True, "SGLang 0.5.4.post3 has no argument of this name", "write ep-size")
        ],
    ),
    Bad(
        "short form",
        SMALL,
        arguments={"decode": {"tp": 4}},
        told=[("decode.yaml: tp", 4, "SGLang 0.5.4.post3 has no argument of this name", "write tp-size")],
    ),
    Bad(
        "argument of a newer release",
        SMALL,
        arguments={"decode": {"fp8-gemm-backend": "flashinfer_trtllm"}},
        told=[
            (
                "decode.yaml: fp8-gemm-backend",
                "flashinfer_trtllm",
                "SGLang 0.5.4.post3 has no argument of this name, but 0.5.9 has",
                "leave it out, or choose a Dynamo release with that SGLang",
            )
        ],
    ),
    Bad(
        "deprecated for another",
        SMALL,
        version="1.0.1",
        arguments={"decode": {"hybrid-kvcache-ratio": 0.5}},
        told=[
            (
                "decode.yaml: hybrid-kvcache-ratio",
                0.5,
                "deprecated in SGLang 0.5.9, whose --config reader refuses it",
                "write swa-full-tokens-ratio",
            )
        ],
    ),
    Bad(
        "deprecated for nothing",
        SMALL,
        version="1.0.1",
        arguments={"prefill": {"prefill-round-robin-balance": True}},
        told=[
            (
                "prefill.yaml: prefill-round-robin-balance",
                True,
                "deprecated in SGLang 0.5.9, whose --config reader refuses it",
                "leave it out",
            )
        ],
    ),
    Bad(
        "action that the reader refuses",
        SMALL,
        version="1.0.1",
        arguments={"decode": {"lora-paths": "a"}},
        told=[
            (
                "decode.yaml: lora-paths",
                "a",
                "the --config reader of SGLang 0.5.9 takes flags and values only",
                "leave it out",
            )
        ],
    ),
    Bad(
        "nnodes",
        LARGE,
        arguments={"decode": {"nnodes": 8}},
        told=[("decode.yaml: nnodes", 8, "the Dynamo operator gives this argument itself", "leave it out")],
    ),
    Bad(
        "node-rank",
        LARGE,
        arguments={"decode": {"node-rank": 0}},
        told=[("decode.yaml: node-rank", 0, "the Dynamo operator gives this argument itself", "leave it out")],
    ),
    Bad(
        "dist-init-addr",
        LARGE,
        arguments={"prefill": {"dist-init-addr": "host:29500"}},
        told=[
            (
                "prefill.yaml: dist-init-addr",
                "host:29500",
                "the Dynamo operator gives this argument itself",
                "leave it out",
            )
        ],
    ),
    Bad(
        "alias of dist-init-addr",
        LARGE,
        arguments={"prefill": {"nccl-init-addr": "host:29500"}},
        told=[
            (
                "prefill.yaml: nccl-init-addr",
                "host:29500",
                "the Dynamo operator gives this argument itself",
                "leave it out",
            )
        ],
    ),
    Bad(
        "model path",
        SMALL,
        arguments={"prefill": {"model-path": "/models"}},
        told=[("prefill.yaml: model-path", "/models", "the start script gives this argument itself", "leave it out")],
    ),
    Bad(
        "alias of model path",
        SMALL,
        arguments={"prefill": {"model": "/models"}},
        told=[("prefill.yaml: model", "/models", "the start script gives this argument itself", "leave it out")],
    ),
    Bad(
        "config in the config",
        SMALL,
        arguments={"decode": {"config": "a.yaml"}},
        told=[("decode.yaml: config", "a.yaml", "the start script gives this argument itself", "leave it out")],
    ),
    Bad(
        "argument of dynamo.sglang",
        SMALL,
        version="1.0.1",
        arguments={"decode": {"endpoint": "dyn://a.b.c"}},
        told=[
            (
                "decode.yaml: endpoint",
                "dyn://a.b.c",
                "it belongs to dynamo.sglang 1.0.1, whose --config takes arguments of SGLang only",
                "leave it out, or set the environment variable that dynamo.sglang has for it",
            )
        ],
    ),
    Bad(
        "argument given by two names",
        SMALL,
        arguments={"decode": {"tp-size": 4}},
        told=[
            (
                "decode.yaml: tp-size",
                4,
                "it is another name of tensor-parallel-size, which is given too",
                "keep one of the two; as an override, write tensor-parallel-size",
            )
        ],
    ),
    Bad(
        "flag with a text",
        SMALL,
        arguments={"decode": {"enable-metrics": "false"}},
        told=[
            ("decode.yaml: enable-metrics", "false", "a flag takes no value", "write true to set it, or leave it out")
        ],
    ),
    Bad(
        "flag with a number",
        SMALL,
        arguments={"decode": {"trust-remote-code": 1}},
        told=[("decode.yaml: trust-remote-code", 1, "a flag takes no value", "write true to set it, or leave it out")],
    ),
    Bad(
        "value given as a flag",
        SMALL,
        arguments={"decode": {"scheduler-recv-interval": True}},
        told=[
            (
                "decode.yaml: scheduler-recv-interval",
                True,
                "it takes a value, not true or false",
                "give a whole number, or leave it out",
            )
        ],
    ),
    Bad(
        "choice given as false",
        SMALL,
        arguments={"prefill": {"moe-runner-backend": False}},
        told=[
            (
                "prefill.yaml: moe-runner-backend",
                False,
                "it takes a value, not true or false",
                (
                    "give one of auto, deep_gemm, triton, triton_kernel, flashinfer_trtllm, flashinfer_cutlass, "
                    "flashinfer_mxfp4, flashinfer_cutedsl, cutlass, or leave it out"
                ),
            )
        ],
    ),
    Bad(
        "text for a whole number",
        SMALL,
        arguments={"decode": {"watchdog-timeout": "soon"}},
        told=[("decode.yaml: watchdog-timeout", "soon", "it takes a number", "give a number, or leave it out")],
    ),
    Bad(
        "fraction for a whole number",
        SMALL,
        arguments={"decode": {"cuda-graph-max-bs": 512.5}},
        told=[
            ("decode.yaml: cuda-graph-max-bs", 512.5, "it takes a whole number", "give a whole number, or leave it out")
        ],
    ),
    Bad(
        "text for a number",
        SMALL,
        arguments={"decode": {"mem-fraction-static": "95%"}},
        told=[("decode.yaml: mem-fraction-static", "95%", "it takes a number", "give a number, or leave it out")],
    ),
    Bad(
        "unknown choice",
        SMALL,
        arguments={"prefill": {"load-balance-method": "roundrobin"}},
        told=[
            (
                "prefill.yaml: load-balance-method",
                "roundrobin",
                "it takes one of the values that the release lists",
                "did you mean 'round_robin'? choose one of round_robin, shortest_queue, minimum_tokens",
            )
        ],
    ),
    Bad(
        "choice of another release",
        SMALL,
        version="1.0.1",
        arguments={"prefill": {"load-balance-method": "minimum_tokens"}},
        told=[
            (
                "prefill.yaml: load-balance-method",
                "minimum_tokens",
                "it takes one of the values that the release lists",
                (
                    "did you mean 'total_tokens'? choose one of auto, round_robin, follow_bootstrap_room, "
                    "total_requests, total_tokens"
                ),
            )
        ],
    ),
    Bad(
        "unknown transfer backend",
        MAX,
        arguments={
            "decode": {"disaggregation-transfer-backend": "nccl"},
            "prefill": {"disaggregation-transfer-backend": "nccl"},
        },
        told=[
            (
                "prefill.yaml: disaggregation-transfer-backend",
                "nccl",
                "it takes one of the values that the release lists",
                "did you mean 'nixl'? choose one of mooncake, nixl, ascend, fake",
            ),
            (
                "decode.yaml: disaggregation-transfer-backend",
                "nccl",
                "it takes one of the values that the release lists",
                "did you mean 'nixl'? choose one of mooncake, nixl, ascend, fake",
            ),
        ],
    ),
    Bad(
        "broken JSON",
        LARGE,
        arguments={"decode": {"deepep-config": "{'num_sms': 128}"}},
        told=[
            (
                "decode.yaml: deepep-config",
                "{'num_sms': 128}",
                "it must be valid JSON",
                "write one quoted text with JSON in it, double quotes inside",
            )
        ],
    ),
    Bad(
        "JSON argument without JSON",
        SMALL,
        arguments={"decode": {"json-model-override-args": "layers=1"}},
        told=[
            (
                "decode.yaml: json-model-override-args",
                "layers=1",
                "it must be valid JSON",
                "write one quoted text with JSON in it, double quotes inside",
            )
        ],
    ),
    Bad(
        "tensor parallel too small",
        SMALL,
        arguments={"decode": {"tensor-parallel-size": 2}},
        told=[
            (
                "decode.yaml: tensor-parallel-size",
                2,
                "a decode replica has 4 GPUs (1 x 4), and its parallel sizes take 2",
                "make tp-size x pp-size 4, or change decode.nodesPerReplica",
            )
        ],
    ),
    Bad(
        "tensor parallel too large",
        SMALL,
        arguments={"prefill": {"tensor-parallel-size": 8}},
        told=[
            (
                "prefill.yaml: tensor-parallel-size",
                8,
                "a prefill replica has 4 GPUs (1 x 4), and its parallel sizes take 8",
                "make tp-size x pp-size 4, or change prefill.nodesPerReplica",
            )
        ],
    ),
    Bad(
        "pipeline that doubles the GPUs",
        SMALL,
        arguments={"prefill": {"pp-size": 2}},
        told=[
            (
                "prefill.yaml: tensor-parallel-size",
                4,
                "a prefill replica has 4 GPUs (1 x 4), and its parallel sizes take 8",
                "make tp-size x pp-size 4, or change prefill.nodesPerReplica",
            )
        ],
    ),
    Bad(
        "too many prefill nodes",
        LARGE,
        file={"prefill": {"replicas": 6}},
        told=[
            (
                "layout.yaml: prefill.replicas",
                6,
                "6 x 2 + 1 x 8 = 20 nodes, and one NVLink domain has 18",
                "take fewer replicas or nodes; two layouts make two stacks in two domains",
            )
        ],
    ),
    Bad(
        "no data-parallel attention",
        LARGE,
        arguments={"decode": {"enable-dp-attention": None, "enable-dp-lm-head": None}},
        told=[
            (
                "decode.yaml: enable-dp-attention",
                None,
                "data parallelism (32) over 8 nodes needs it",
                "set enable-dp-attention: true",
            )
        ],
    ),
    Bad(
        "attention without ranks",
        SMALL,
        arguments={"decode": {"enable-dp-attention": True}},
        told=[
            (
                "decode.yaml: enable-dp-attention",
                True,
                "SGLang switches it off without a word when the data-parallel size is 1",
                "set dp-size, or leave the flag out",
            )
        ],
    ),
    Bad(
        "ranks that do not divide",
        LARGE,
        arguments={"prefill": {"dp-size": 3}},
        told=[
            (
                "prefill.yaml: dp-size",
                3,
                "with enable-dp-attention it divides the tensor-parallel size (8)",
                "choose a divisor of it; DeepSeek layouts use the size itself",
            ),
            (
                "prefill.yaml: chunked-prefill-size",
                131072,
                "each of 3 data-parallel ranks gets whole pages of 64 tokens",
                "choose a multiple of 192",
            ),
        ],
    ),
    Bad(
        "fewer experts ranks than GPUs",
        LARGE,
        arguments={"decode": {"ep-size": 16}},
        told=[
            (
                "decode.yaml: ep-size",
                16,
                "moe-a2a-backend: deepep makes it the tensor-parallel size (32), whatever is given",
                "set it to 32",
            )
        ],
    ),
    Bad(
        "expert size that does not divide",
        SMALL,
        arguments={"decode": {"expert-parallel-size": 3}},
        told=[
            (
                "decode.yaml: expert-parallel-size",
                3,
                "it divides the tensor-parallel size (4)",
                "choose a divisor of it, or 1",
            )
        ],
    ),
    Bad(
        "chunk of no whole pages",
        LARGE,
        arguments={"prefill": {"chunked-prefill-size": 131000}},
        told=[
            (
                "prefill.yaml: chunked-prefill-size",
                131000,
                "each of 8 data-parallel ranks gets whole pages of 64 tokens",
                "choose a multiple of 512",
            )
        ],
    ),
    Bad(
        "chunk of no whole pages, one rank",
        SMALL,
        arguments={"prefill": {"chunked-prefill-size": 24600}},
        told=[
            (
                "prefill.yaml: chunked-prefill-size",
                24600,
                "a chunk is whole pages of 64 tokens",
                "choose a multiple of 64",
            )
        ],
    ),
    Bad(
        "chunk that loses tokens",
        LARGE,
        arguments={"decode": {"chunked-prefill-size": 36865}},
        told=[
            (
                "decode.yaml: chunked-prefill-size",
                36865,
                "each of 32 data-parallel ranks gets the same number of tokens",
                "choose a multiple of 32",
            )
        ],
    ),
    Bad(
        "lm head without attention",
        SMALL,
        arguments={"decode": {"enable-dp-lm-head": True}},
        told=[
            (
                "decode.yaml: enable-dp-lm-head",
                True,
                "it needs enable-dp-attention with a data-parallel size over 1",
                "set both, or leave it out",
            )
        ],
    ),
    Bad(
        "decode in normal mode",
        LARGE,
        arguments={"decode": {"deepep-mode": "normal", "disable-cuda-graph": True}},
        told=[
            (
                "decode.yaml: deepep-mode",
                "normal",
                "normal mode switches CUDA graphs off, which decode lives by",
                "set low_latency",
            )
        ],
    ),
    Bad(
        "prefill in low latency",
        LARGE,
        arguments={"prefill": {"deepep-mode": "low_latency"}},
        told=[
            (
                "prefill.yaml: deepep-mode",
                "low_latency",
                "the low-latency dispatcher takes up to 1024 tokens of a rank, fewer than a prompt's chunk",
                "set normal",
            )
        ],
    ),
    Bad(
        "normal mode with graphs",
        LARGE,
        arguments={"prefill": {"disable-cuda-graph": None}},
        told=[
            (
                "prefill.yaml: disable-cuda-graph",
                None,
                "deepep-mode: normal runs without CUDA graphs; a layout says what runs",
                "set disable-cuda-graph: true",
            )
        ],
    ),
    Bad(
        "graphs larger than the buffer",
        MAX,
        arguments={"decode": {"cuda-graph-max-bs": 768}},
        told=[
            (
                "decode.yaml: cuda-graph-max-bs",
                768,
                (
                    "graphs up to this batch size dispatch through a buffer of 512 tokens a rank "
                    "(SGLANG_DEEPEP_NUM_MAX_DISPATCH_TOKENS_PER_RANK)"
                ),
                "make the two equal",
            )
        ],
    ),
    Bad(
        "more requests than the buffer",
        LARGE,
        arguments={"decode": {"max-running-requests": 16384}},
        told=[
            (
                "decode.yaml: max-running-requests",
                16384,
                (
                    "over 32 ranks it is 512 requests a rank, and the dispatch buffer holds 256 "
                    "(SGLANG_DEEPEP_NUM_MAX_DISPATCH_TOKENS_PER_RANK)"
                ),
                "set it to 8192 or fewer, or enlarge the buffer (up to 1024)",
            )
        ],
    ),
    Bad(
        "buffer too large",
        LARGE,
        environment={"decode": {"SGLANG_DEEPEP_NUM_MAX_DISPATCH_TOKENS_PER_RANK": "2048"}},
        told=[
            (
                "layout.yaml: decode.environment.SGLANG_DEEPEP_NUM_MAX_DISPATCH_TOKENS_PER_RANK",
                "2048",
                "DeepEP takes 1 to 1024 tokens a rank",
                "set it to cuda-graph-max-bs",
            )
        ],
    ),
    Bad(
        "experts that do not divide",
        MAX,
        arguments={"decode": {"ep-num-redundant-experts": 16}},
        told=[
            (
                "decode.yaml: ep-num-redundant-experts",
                16,
                "256 experts and the redundant ones are 272, which 24 ranks cannot share evenly",
                "set it to 8, or that plus a multiple of 24",
            )
        ],
    ),
    Bad(
        "half a tuning",
        LARGE,
        arguments={"prefill": {"deepep-config": '{"normal_dispatch": {"num_sms": 128}}'}},
        told=[
            (
                "prefill.yaml: deepep-config",
                '{"normal_dispatch": {"num_sms": 128}}',
                "it holds normal_dispatch and normal_combine, both with the same num_sms",
                "compare with deepseek-r1-fp8-10p8d",
            )
        ],
    ),
    Bad(
        "two numbers of SMs",
        LARGE,
        arguments={
            "prefill": {"deepep-config": '{"normal_dispatch": {"num_sms": 1}, "normal_combine": {"num_sms": 2}}'}
        },
        told=[
            (
                "prefill.yaml: deepep-config",
                '{"normal_dispatch": {"num_sms": 1}, "normal_combine": {"num_sms": 2}}',
                "it holds normal_dispatch and normal_combine, both with the same num_sms",
                "compare with deepseek-r1-fp8-10p8d",
            )
        ],
    ),
    Bad(
        "unquantised experts",
        SMALL,
        arguments={"decode": {"quantization": None}, "prefill": {"quantization": None}},
        told=[
            (
                "prefill.yaml: quantization",
                None,
                "moe-runner-backend: flashinfer_trtllm runs experts in fp8, modelopt_fp8, modelopt_fp4 only",
                "set quantization to one of these, or choose another moe-runner-backend",
            ),
            (
                "decode.yaml: quantization",
                None,
                "moe-runner-backend: flashinfer_trtllm runs experts in fp8, modelopt_fp8, modelopt_fp4 only",
                "set quantization to one of these, or choose another moe-runner-backend",
            ),
        ],
    ),
    Bad(
        "dense layers cut",
        LARGE,
        arguments={"decode": {"moe-dense-tp-size": 4}},
        told=[("decode.yaml: moe-dense-tp-size", 4, "SGLang takes 1 or nothing", "set it to 1, or leave it out")],
    ),
    Bad(
        "context too short",
        LARGE,
        arguments={"decode": {"context-length": 9000}, "prefill": {"context-length": 9000}},
        told=[
            (
                "prefill.yaml: context-length",
                9000,
                "the load has requests of 8192 + 1024 = 9216 tokens",
                "set it to 9216 or more",
            ),
            (
                "decode.yaml: context-length",
                9000,
                "the load has requests of 8192 + 1024 = 9216 tokens",
                "set it to 9216 or more",
            ),
        ],
    ),
    Bad(
        "context longer than the model's",
        LARGE,
        arguments={"decode": {"context-length": 200000}, "prefill": {"context-length": 200000}},
        told=[
            (
                "prefill.yaml: context-length",
                200000,
                "the model was made for 163840 tokens",
                "set it to 163840 or fewer",
            ),
            (
                "decode.yaml: context-length",
                200000,
                "the model was made for 163840 tokens",
                "set it to 163840 or fewer",
            ),
        ],
    ),
    Bad(
        "two contexts",
        SMALL,
        arguments={"decode": {"context-length": 9700}},
        told=[
            (
                "decode.yaml: context-length",
                9700,
                "a request goes through both roles, and prefill's is 9600",
                "make the two equal",
            )
        ],
    ),
    Bad(
        "no room for a prompt",
        SMALL,
        arguments={"prefill": {"max-total-tokens": 4096}},
        told=[
            (
                "prefill.yaml: max-total-tokens",
                4096,
                "a prompt of the load has up to 8192 tokens",
                "set it to 8192 or more",
            )
        ],
    ),
    Bad(
        "weights that do not fit",
        SMALL,
        arguments={"decode": {"mem-fraction-static": 0.8}},
        told=[
            (
                "decode.yaml: mem-fraction-static",
                0.8,
                (
                    "weights take an estimated 168 GB of a GPU's 199 GB, which leaves no room for the KV cache of"
                    " one request"
                ),
                "raise it, or spread the replica over more nodes",
            )
        ],
    ),
    Bad(
        "share over one",
        LARGE,
        arguments={"decode": {"mem-fraction-static": 82}},
        told=[
            ("decode.yaml: mem-fraction-static", 82, "it is a share of a GPU's memory", "choose one between 0 and 1")
        ],
    ),
    Bad(
        "load beyond the roles",
        SMALL,
        arguments={"decode": {"max-running-requests": 256}},
        told=[
            (
                "layout.yaml: benchmark.concurrency",
                512,
                "all decode replicas together run 256 requests (max-running-requests)",
                "set it to 256 or fewer",
            )
        ],
    ),
    Bad(
        "fewer prompts than in flight",
        SMALL,
        file={"benchmark": {"prompts": 100}},
        told=[
            (
                "layout.yaml: benchmark.prompts",
                100,
                "fewer requests than are to be in flight (512)",
                "set it to 512 or more",
            )
        ],
    ),
    Bad(
        "interval of nothing",
        LARGE,
        arguments={"decode": {"stream-interval": 0}},
        told=[("decode.yaml: stream-interval", 0, "it counts something, so it is 1 or more", "set it to 1 or more")],
    ),
    Bad(
        "negative timeout",
        SMALL,
        arguments={"prefill": {"watchdog-timeout": -1}},
        told=[("prefill.yaml: watchdog-timeout", -1, "it counts something, so it is 1 or more", "set it to 1 or more")],
    ),
    Bad(
        "decode without round robin",
        LARGE,
        arguments={"decode": {"prefill-round-robin-balance": None}},
        told=[
            (
                "decode.yaml: prefill-round-robin-balance",
                None,
                "SGLang 0.5.4.post3 refuses decode with a data-parallel size over 1 without it",
                "set prefill-round-robin-balance: true",
            )
        ],
    ),
    Bad(
        "prefill balances otherwise",
        LARGE,
        arguments={"prefill": {"load-balance-method": "shortest_queue"}},
        told=[
            (
                "prefill.yaml: load-balance-method",
                "shortest_queue",
                "decode counts on prefill's round robin (prefill-round-robin-balance)",
                "set round_robin, or leave it out",
            )
        ],
    ),
    Bad(
        "two bootstrap ports",
        SMALL,
        arguments={"decode": {"disaggregation-bootstrap-port": 30002}},
        told=[
            (
                "decode.yaml: disaggregation-bootstrap-port",
                30002,
                "prefill listens on 30001",
                "set it to 30001, or change both",
            )
        ],
    ),
    Bad(
        "no bootstrap port",
        SMALL,
        arguments={"prefill": {"disaggregation-bootstrap-port": None}},
        told=[
            (
                "prefill.yaml: disaggregation-bootstrap-port",
                None,
                "without it dynamo.sglang takes a free port, which the other role does not know",
                "set it on both roles, to 30001 as the recipe",
            )
        ],
    ),
    Bad(
        "bootstrap on the system port",
        SMALL,
        arguments={
            "prefill": {"disaggregation-bootstrap-port": 9090},
            "decode": {"disaggregation-bootstrap-port": 9090},
        },
        told=[
            (
                "prefill.yaml: disaggregation-bootstrap-port",
                9090,
                ("a free port from 1024 to 65535, not 9090 (system port), 29500 (rendezvous) or the role's own port"),
                "set it to 30001 as the recipe",
            ),
            (
                "decode.yaml: disaggregation-bootstrap-port",
                9090,
                ("a free port from 1024 to 65535, not 9090 (system port), 29500 (rendezvous) or the role's own port"),
                "set it to 30001 as the recipe",
            ),
        ],
    ),
    Bad(
        "host of one pod",
        SMALL,
        arguments={"prefill": {"host": "127.0.0.1"}},
        told=[
            (
                "prefill.yaml: host",
                "127.0.0.1",
                "other pods reach the bootstrap server only on all addresses",
                "set 0.0.0.0",
            )
        ],
    ),
    Bad(
        "port of root",
        SMALL,
        arguments={"decode": {"port": 80}},
        told=[("decode.yaml: port", 80, "a port from 1024 to 60000", "set it to 9090 as the recipe, or leave it out")],
    ),
    Bad(
        "role of the other",
        SMALL,
        arguments={"decode": {"disaggregation-mode": "prefill"}},
        told=[("decode.yaml: disaggregation-mode", "prefill", "these are the arguments of decode", "set it to decode")],
    ),
    Bad(
        "no role",
        SMALL,
        arguments={"prefill": {"disaggregation-mode": None}},
        told=[("prefill.yaml: disaggregation-mode", None, "these are the arguments of prefill", "set it to prefill")],
    ),
    Bad(
        "two types of cache",
        SMALL,
        arguments={"decode": {"kv-cache-dtype": "auto"}},
        told=[
            (
                "decode.yaml: kv-cache-dtype",
                "auto",
                "both roles share it, and prefill's is fp8_e4m3",
                "make the two equal",
            )
        ],
    ),
    Bad(
        "two transfer backends",
        MAX,
        arguments={"decode": {"disaggregation-transfer-backend": "mooncake"}},
        told=[
            (
                "decode.yaml: disaggregation-transfer-backend",
                "mooncake",
                "both roles share it, and prefill's is nixl",
                "make the two equal",
            )
        ],
    ),
    Bad(
        "cache that the kernel cannot read",
        SMALL,
        arguments={"decode": {"kv-cache-dtype": "fp8_e5m2"}, "prefill": {"kv-cache-dtype": "fp8_e5m2"}},
        told=[
            (
                "prefill.yaml: kv-cache-dtype",
                "fp8_e5m2",
                "attention-backend: trtllm_mla does not read it",
                "set it to one of fp8_e4m3, fp4_e2m1, auto",
            ),
            (
                "decode.yaml: kv-cache-dtype",
                "fp8_e5m2",
                "attention-backend: trtllm_mla does not read it",
                "set it to one of fp8_e4m3, fp4_e2m1, auto",
            ),
        ],
    ),
    Bad(
        "another name for users",
        SMALL,
        arguments={"decode": {"served-model-name": "r1"}},
        told=[
            (
                "decode.yaml: served-model-name",
                "r1",
                "frontends load the tokenizer by this name, and the model is deepseek-ai/DeepSeek-R1",
                "set it to deepseek-ai/DeepSeek-R1",
            )
        ],
    ),
    Bad(
        "variable that the operator sets",
        SMALL,
        environment={"decode": {"DYN_NAMESPACE": "mine"}},
        told=[
            ("layout.yaml: workers.environment.DYN_NAMESPACE", "mine", "the Dynamo operator sets it", "leave it out")
        ],
    ),
    Bad(
        "variable that the program sets",
        SMALL,
        environment={"prefill": {"MODEL_PATH": "/models"}},
        told=[
            (
                "layout.yaml: workers.environment.MODEL_PATH",
                "/models",
                "this program sets it for the start script",
                "leave it out",
            )
        ],
    ),
    Bad(
        "token in clear text",
        SMALL,
        environment={"decode": {"HF_TOKEN": "hf_made_up"}},
        told=[
            (
                "layout.yaml: workers.environment.HF_TOKEN",
                "(hidden)",
                "this program takes it from the secret hfToken",
                "leave it out",
            )
        ],
    ),
    Bad(
        "variable with a dash",
        SMALL,
        environment={"decode": {"UCX-TLS": "^tcp"}},
        told=[
            (
                "layout.yaml: workers.environment.UCX-TLS",
                "^tcp",
                "this is no name of an environment variable",
                "use letters, digits and underscores",
            )
        ],
    ),
    Bad(
        "text for a switch",
        SMALL,
        environment={"decode": {"SGLANG_ENABLE_JIT_DEEPGEMM": "off"}},
        told=[
            (
                "layout.yaml: workers.environment.SGLANG_ENABLE_JIT_DEEPGEMM",
                "off",
                "its reader takes true or false, 1 or 0",
                'write "1" or "0"',
            )
        ],
    ),
    Bad(
        "text for a number of tokens",
        LARGE,
        environment={"decode": {"SGLANG_DISAGGREGATION_WAITING_TIMEOUT": "1h"}},
        told=[
            (
                "layout.yaml: workers.environment.SGLANG_DISAGGREGATION_WAITING_TIMEOUT",
                "1h",
                "its reader takes a whole number",
                "write a whole number, quoted",
            )
        ],
    ),
    Bad(
        "key of an API in clear text",
        SMALL,
        arguments={"decode": {"api-key": "made-up"}},
        told=[
            (
                "decode.yaml: api-key",
                "(hidden)",
                "a secret would stand in clear text in a ConfigMap, and dynamo.sglang asks nobody for it",
                "leave it out",
            )
        ],
    ),
    Bad(
        "secret among the variables",
        SMALL,
        environment={"prefill": {"AWS_SECRET_ACCESS_KEY": "made-up"}},
        told=[
            (
                "layout.yaml: workers.environment.AWS_SECRET_ACCESS_KEY",
                "(hidden)",
                "a secret would stand in clear text in the stack's graph",
                "leave it out",
            )
        ],
    ),
    Bad(
        "two things at once",
        LARGE,
        arguments={"decode": {"tp-size": 64, "hots": "pod", "host": None}},
        told=[
            (
                "decode.yaml: hots",
                "pod",
                "SGLang 0.5.4.post3 has no argument of this name",
                "did you mean 'host'? or leave it out",
            ),
            (
                "decode.yaml: tp-size",
                64,
                "a decode replica has 32 GPUs (8 x 4), and its parallel sizes take 64",
                "make tp-size x pp-size 32, or change decode.nodesPerReplica",
            ),
            (
                "decode.yaml: ep-size",
                32,
                "moe-a2a-backend: deepep makes it the tensor-parallel size (64), whatever is given",
                "set it to 64",
            ),
            (
                "decode.yaml: ep-num-redundant-experts",
                32,
                "256 experts and the redundant ones are 288, which 64 ranks cannot share evenly",
                "set it to 0, or that plus a multiple of 64",
            ),
            ("decode.yaml: host", None, "other pods reach the bootstrap server only on all addresses", "set 0.0.0.0"),
        ],
    ),
    Bad(
        "DeepEP switched off half way",
        LARGE,
        arguments={"decode": {"moe-a2a-backend": None}},
        told=[
            (
                "decode.yaml: moe-a2a-backend",
                None,
                "SGLang reads deepep-mode and deepep-config only with moe-a2a-backend: deepep",
                "set moe-a2a-backend: deepep, or leave the others out",
            )
        ],
    ),
    Bad(
        "tokens dispatched at random",
        LARGE,
        arguments={"prefill": {"ep-dispatch-algorithm": "fake"}},
        told=[
            (
                "prefill.yaml: ep-dispatch-algorithm",
                "fake",
                "algorithms that serve are static, dynamic",
                "set dynamic on prefill, static on decode, as the recipe",
            )
        ],
    ),
    Bad(
        "copies of experts that nobody reaches",
        MAX,
        arguments={"decode": {"ep-dispatch-algorithm": None}},
        told=[
            (
                "decode.yaml: ep-dispatch-algorithm",
                None,
                "without it no token reaches the 32 redundant experts, which take memory all the same",
                "set dynamic on prefill, static on decode, as the recipe",
            )
        ],
    ),
    Bad(
        "balance by no algorithm",
        LARGE,
        arguments={"decode": {"eplb-algorithm": "deepsek"}},
        told=[
            (
                "decode.yaml: eplb-algorithm",
                "deepsek",
                (
                    "algorithms are auto, deepseek, deepseek_hierarchical, deepseek_vec, "
                    "deepseek_vec_hierarchical, elasticity_aware"
                ),
                "set deepseek as the recipe, or leave it out",
            )
        ],
    ),
    Bad(
        "kernel for other weights",
        SMALL,
        arguments={"decode": {"moe-runner-backend": "flashinfer_cutlass"}},
        told=[
            (
                "decode.yaml: quantization",
                "fp8",
                "moe-runner-backend: flashinfer_cutlass runs experts in modelopt_fp8, modelopt_fp4 only",
                "set quantization to one of these, or choose another moe-runner-backend",
            )
        ],
    ),
    Bad(
        "cache that is never moved",
        SMALL,
        arguments={
            "prefill": {"disaggregation-transfer-backend": "fake"},
            "decode": {"disaggregation-transfer-backend": "fake"},
        },
        told=[
            (
                "prefill.yaml: disaggregation-transfer-backend",
                "fake",
                "fake moves nothing, so decode answers from an empty cache",
                "set nixl or mooncake",
            ),
            (
                "decode.yaml: disaggregation-transfer-backend",
                "fake",
                "fake moves nothing, so decode answers from an empty cache",
                "set nixl or mooncake",
            ),
        ],
    ),
    Bad(
        "SGLang chooses the batch",
        LARGE,
        arguments={"decode": {"max-running-requests": None}},
        told=[
            (
                "decode.yaml: max-running-requests",
                None,
                "SGLang then chooses by the GPU's memory, and the dispatch buffer holds 256 tokens a rank",
                "set it to 8192",
            )
        ],
    ),
    Bad(
        "SGLang chooses the graphs",
        LARGE,
        arguments={"decode": {"cuda-graph-max-bs": None}},
        told=[
            (
                "decode.yaml: cuda-graph-max-bs",
                None,
                "SGLang then chooses by the GPU's memory, and the dispatch buffer holds 256 tokens a rank",
                "set it to 256",
            )
        ],
    ),
]


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
def test_a_wrong_layout_is_reported_in_full(bad: Bad) -> None:
    assert [str(problem) for problem in rules.check(bad.layout, PROFILES[bad.version])] == bad.messages


def test_the_table_has_sixty_rows_of_different_wrongs() -> None:
    assert len(BAD) >= 60
    assert len({bad.name for bad in BAD}) == len(BAD)
    assert all(bad.told for bad in BAD)


# The same through the stack config ---------------------------------------------------------------------------------

ROOT = Path(__file__).resolve().parents[2]


def _config(**changes: Any) -> dict[str, Any]:
    """The config of dev, with keys of the project replaced; `stack` is laid over its only stack."""
    config = yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text(encoding="utf-8"))["config"]
    config["dynamo-a4x:stacks"][0].update(changes.pop("stack", {}))
    return config | {f"dynamo-a4x:{key}": value for key, value in changes.items()}


def _dynamo(version: str, **more: Any) -> dict[str, Any]:
    return {"mode": "create", "version": version, **more}


DOMAIN = {"name": "a4x-0", "mode": "adopt", "zone": "us-central1-b", "nodes": 2}

SETTINGS: list[tuple[str, dict[str, Any], str]] = [
    (
        "overridden argument that is none",
        _config(stack={"overrides": {"decode": {"arguments": {"tp-sise": 4}}}}),
        (
            "stacks[0].overrides.decode.arguments.tp-sise = 4\n"
            "    rule: SGLang 0.5.4.post3 has no argument of this name\n"
            "    fix: did you mean 'tp-size'? or leave it out"
        ),
    ),
    (
        "overridden value that does not fit",
        _config(stack={"overrides": {"decode": {"arguments": {"tensor-parallel-size": 8}}}}),
        (
            "stacks[0].overrides.decode.arguments.tensor-parallel-size = 8\n"
            "    rule: a decode replica has 4 GPUs (1 x 4), and its parallel sizes take 8\n"
            "    fix: make tp-size x pp-size 4, or change decode.nodesPerReplica"
        ),
    ),
    (
        "overridden argument by another name",
        _config(stack={"overrides": {"prefill": {"arguments": {"tp-size": 4}}}}),
        (
            "stacks[0].overrides.prefill.arguments.tp-size = 4\n"
            "    rule: it is another name of tensor-parallel-size, which is given too\n"
            "    fix: keep one of the two; as an override, write tensor-parallel-size"
        ),
    ),
    (
        "overridden variable that is given",
        _config(stack={"overrides": {"prefill": {"environment": {"POD_NAME": "x"}}}}),
        (
            "stacks[0].overrides.prefill.environment.POD_NAME = 'x'\n"
            "    rule: the Dynamo operator sets it\n"
            "    fix: leave it out"
        ),
    ),
    (
        "override of no role",
        _config(stack={"overrides": {"decod": {}}}),
        (
            "stacks[0].overrides.decod = {}\n"
            "    rule: this key does not exist\n"
            "    fix: did you mean 'decode'? known: decode, prefill"
        ),
    ),
    (
        "override of no part",
        _config(stack={"overrides": {"decode": {"args": {}}}}),
        (
            "stacks[0].overrides.decode.args = {}\n"
            "    rule: this key does not exist\n"
            "    fix: did you mean 'arguments'? known: arguments, environment"
        ),
    ),
    (
        "overridden variable that is a number",
        _config(stack={"overrides": {"decode": {"environment": {"UCX_TLS": 0.5}}}}),
        (
            "stacks[0].overrides.decode.environment.UCX_TLS = 0.5\n"
            "    rule: must be a text\n"
            "    fix: put it in quotes: a value for UCX_TLS"
        ),
    ),
    (
        "a place where KAI's mode no longer is",
        _config(dynamo=_dynamo("1.0.1", kai="own")),
        (
            "dynamo.kai = 'own'\n"
            "    rule: this key does not exist\n"
            "    fix: KAI is a part of its own now: set kai.mode (create, adopt, none) and kai.version"
        ),
    ),
    (
        "a role that KAI has itself by now",
        _config(dynamo=_dynamo("0.7.0", kaiBindingRole=True)),
        (
            "dynamo.kaiBindingRole = True\n"
            "    rule: this key does not exist\n"
            "    fix: leave it out: the KAI that is installed has the right itself"
        ),
    ),
    (
        "unknown mode of KAI",
        _config(kai={"mode": "bundled"}),
        (
            "kai.mode = 'bundled'\n"
            "    rule: must be one of 'none', 'adopt' or 'create'\n"
            "    fix: choose one: `create` to have it created, `adopt` to use one that exists, "
            "`none` for a cluster with another scheduler"
        ),
    ),
    (
        "a new KAI under a platform that runs",
        _config(dynamo={"mode": "adopt"}, kai={"mode": "create"}),
        (
            "kai.mode = 'create'\n"
            "    rule: a platform that is adopted was installed after its scheduler, and finds KAI only when it "
            "starts\n"
            "    fix: set kai.mode: adopt for the KAI that runs there, or none where there is none"
        ),
    ),
    (
        "a KAI that never starts on GKE",
        _config(kai={"version": "v0.9.4"}),
        (
            "kai.version = 'v0.9.4'\n"
            "    rule: its operator needs the kind ClusterPolicy of NVIDIA's GPU operator, which GKE does not have: "
            "no pod is ever scheduled\n"
            "    fix: set 0.17.0, or run it yourself and set kai.mode: adopt"
        ),
    ),
    (
        "a KAI that asks for a RuntimeClass",
        _config(kai={"version": "0.12.17"}),
        (
            "kai.version = '0.12.17'\n"
            "    rule: it gives every GPU pod the RuntimeClass nvidia, which GKE does not have, and when it is "
            "uninstalled its webhooks stay and refuse every pod of the cluster\n"
            "    fix: set 0.17.0, or run it yourself and set kai.mode: adopt"
        ),
    ),
    (
        "a KAI whose chart owns the shard",
        _config(kai={"version": "0.13.4"}),
        (
            "kai.version = '0.13.4'\n"
            "    rule: its chart always makes the SchedulingShard itself, which Helm never changes again, so that a "
            "gang which lacks one pod would be evicted after 60 s\n"
            "    fix: set 0.17.0, or run it yourself and set kai.mode: adopt"
        ),
    ),
    (
        "a retracted KAI",
        _config(kai={"version": "0.20.1"}),
        (
            "kai.version = '0.20.1'\n"
            "    rule: KAI has retracted this release; it is older than 0.12\n"
            "    fix: set 0.17.0, or run it yourself and set kai.mode: adopt"
        ),
    ),
    (
        "no release of KAI",
        _config(kai={"version": "0.17"}),
        ("kai.version = '0.17'\n    rule: a release of KAI has three numbers\n    fix: write it like 0.17.0"),
    ),
    (
        "release that must not be used",
        _config(dynamo=_dynamo("0.9.0")),
        (
            "dynamo.version = '0.9.0'\n"
            "    rule: the chart dynamo-platform-0.9.0 ships the operator image 0.7.1 (fixed in 0.9.0-post1)\n"
            "    fix: choose one of 0.7.0, 0.7.1, 1.0.0, 1.0.1, 1.0.2"
        ),
    ),
    (
        "price of nothing",
        _config(domains=[{**DOMAIN, "pricePerGpuHour": 0}, {**DOMAIN, "name": "a4x-1"}]),
        (
            "domains[0].pricePerGpuHour = 0\n"
            "    rule: must be greater than 0\n"
            "    fix: give what one GPU costs an hour, for the line that a preview prints"
        ),
    ),
]


@pytest.mark.parametrize(("config", "message"), [row[1:] for row in SETTINGS], ids=[row[0] for row in SETTINGS])
def test_a_wrong_config_is_reported_in_full(config: dict[str, Any], message: str) -> None:
    with pytest.raises(settings.SettingsError) as caught:
        settings.parse(config, "dev")
    assert [str(problem) for problem in caught.value.problems] == [message]


def test_two_stacks_of_one_wrong_layout_are_reported_once(monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = layout.load(SMALL)
    wrong = shipped.with_server("decode", Server({**shipped.arguments("decode"), "host": "::1"}, {}))
    monkeypatch.setattr(layout, "load", lambda _: wrong)
    config = _config()
    stack = config["dynamo-a4x:stacks"][0]
    config["dynamo-a4x:stacks"] = [stack, {**stack, "name": "second"}]
    config["dynamo-a4x:domains"][0]["nodes"] = 4
    with pytest.raises(settings.SettingsError) as caught:
        settings.parse(config, "dev")
    assert [problem.key for problem in caught.value.problems] == [f"sglang_configs/{SMALL}/decode.yaml: host"]
