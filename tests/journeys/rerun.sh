# Check what somebody else computed, and make it again
#
# Wanted: a colleague sent winds.lode and says that it is the wind field within 1 %. I have the data. Is it true, was it made
# from these data, and would I get the same?
#
# Learned: `lode verify` measures the error again. The file records operation, options, seed and the hash of its input:
# `lode info` shows the command, `lode rerun` runs it and compares the outcome bit for bit (status 0), and refuses other
# data (status 2). A file in which one byte was changed does not verify.
lode compress data/winds_u.npy --error 1e-2 -o winds.lode # done by the colleague

lode info winds.lode | grep 'command'
lode verify winds.lode data/winds_u.npy
lode rerun winds.lode data/winds_u.npy

status=0
lode rerun winds.lode data/sst_coads.npy || status=$? # other data
test $status = 2

cp winds.lode changed.lode
printf '\377' | dd of=changed.lode bs=1 seek=100000 conv=notrunc 2>/dev/null
if lode verify changed.lode data/winds_u.npy; then exit 1; fi
