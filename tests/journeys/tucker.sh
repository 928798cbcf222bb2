# Look into a three-way array with Tucker, with pictures
#
# Wanted: eleven years of monthly winds, time by latitude by longitude. Which patterns make it up, how many does each
# direction need for 30 % error, and what does the approximation lose?
#
# Learned: `lode tucker` chooses the ranks of all three directions from one error, and says what it reached. `lode plot`
# draws the factors; given the original too, original, reconstruction and error side by side. `lode query` answers from
# the small file, with an error bar, and `lode info` shows the command that made it.
lode tucker data/winds_u.npy --error 0.3 -o winds.lode
lode info winds.lode
lode info winds.lode | grep 'error .*measured'

lode plot winds.lode -o factors.svg
lode plot winds.lode data/winds_u.npy -o compared.png
head -c 300 factors.svg | grep '<svg'
test -s compared.png

lode query winds.lode 'mean[0:12]' # of the first year, without the original
lode verify winds.lode data/winds_u.npy

test $(($(stat -c %s data/winds_u.npy) / $(stat -c %s winds.lode))) -ge 30
