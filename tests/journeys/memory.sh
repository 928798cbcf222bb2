# Factor an array that is larger than the memory it may take
#
# Wanted: the array is 160 MB, this job may have 40 MB (think of 160 GB and 40). I want to know beforehand whether it will
# go, and that it keeps to it.
#
# Learned: `lode plan` says what a command would take, before it runs. `--memory` is a promise: the file is read by slabs
# and the result has the same bits as with all the memory. What cannot go is refused with exit status 5 and the number
# that would do.
lode make normal --shape 200000,100 -o big.npy

lode plan svd big.npy --rank 5 --memory 40M
lode svd big.npy --rank 5 --memory 40M -o small.lode
lode svd big.npy --rank 5 -o large.lode
lode compare small.lode:V large.lode:V --json --quiet | grep '"absolute": 0,'

status=0
lode svd big.npy --rank 5 --memory 4M -o none.lode 2>refused || status=$?
cat refused
test $status = 5
grep 'would do' refused
test ! -e none.lode
