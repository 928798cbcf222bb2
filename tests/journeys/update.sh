# Keep an SVD up to date as data arrive
#
# Wanted: every day brings new rows. I do not want to keep all the old ones and start over, but I want to know what the
# short cut costs.
#
# Learned: `lode update` takes new rows into the result; the old rows are not needed. Singular values agree with those of
# all rows at once to many digits. The certificate of an updated result is a bound that adds the errors of the parts up;
# with the original at hand `lode verify` measures it again.
lode make lowrank --shape 2000,50 --rank 5 --noise 0.01 -o all.npy # stands for what arrives day by day

lode svd 'all.npy[0:1000]' --rank 5 -o day1.lode
lode update day1.lode 'all.npy[1000:1500]' -o day2.lode
lode update day2.lode 'all.npy[1500:2000]' -o day3.lode
lode info day3.lode | grep 'error .*bound'
lode verify day3.lode all.npy

lode svd all.npy --rank 5 -o once.lode
lode compare day3.lode:s once.lode:s --json --quiet |
    python3 -c 'import json, sys; e = json.load(sys.stdin)["outputs"]["relative"]; print("singular values differ by", e); assert e < 1e-6'
