# Get a small adapter out of a fine-tuned model
#
# Wanted: I have a base model and one that was tuned from it, both in full. I want to hand out only the difference, as a
# LoRA adapter that PEFT loads.
#
# Learned: `lode adapter` takes the two files, tensor by tensor, and writes adapter_model.safetensors with the
# adapter_config.json that PEFT looks for, and a table of each layer's error. Merged into the base it gives the tuned model
# back: here the tuning had rank 4, so nothing is lost. Merging writes a report of its own, so it gets another folder.
mkdir adapter merged
python3 - <<'END'
import numpy as np
rng = np.random.default_rng(0)
names = [f"layers.{i}.{w}.weight" for i in range(2) for w in ("q_proj", "v_proj")]
base = {n: rng.standard_normal((96, 64)).astype("f4") for n in names}
change = {n: 0.1 * rng.standard_normal((96, 4)) @ rng.standard_normal((4, 64)) for n in names}
np.savez("base.npz", **base)
np.savez("tuned.npz", **{n: (base[n] + change[n]).astype("f4") for n in names})
END
lode convert base.npz base.safetensors # stand for the two models
lode convert tuned.npz tuned.safetensors

lode adapter base.safetensors tuned.safetensors --rank 4 -o adapter/adapter_model.safetensors
lode info adapter/adapter_model.safetensors | grep 'base_model.model.layers.0.q_proj.lora_A.weight 4 x 64'
grep '"peft_type": *"LORA"' adapter/adapter_config.json
cat adapter/adapter_report.csv
test $(($(stat -c %s tuned.safetensors) / $(stat -c %s adapter/adapter_model.safetensors))) -ge 8

lode adapter base.safetensors adapter/adapter_model.safetensors --do merge -o merged/model.safetensors
lode compare tuned.safetensors:layers.1.v_proj.weight merged/model.safetensors:layers.1.v_proj.weight --json --quiet |
    python3 -c 'import json, sys; e = json.load(sys.stdin)["outputs"]["relative"]; print("weights differ by", e); assert e < 1e-5'
