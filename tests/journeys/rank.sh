# Choose how many components to keep
#
# Wanted: I am about to run a PCA and do not know how many components my data have; the scree plot convinces nobody.
#
# Learned: `lode rank` asks six criteria, gives the interval of each, one recommendation, and says where they disagree; the
# picture shows the spectrum against what shuffled data reach. Of pure noise it says that there is nothing to keep. The
# number goes into the next command.
lode make lowrank --shape 300,80 --rank 6 --noise 0.5 -o data.npy # stands for your data: 6 components in noise

lode rank data.npy -o rank.lode
lode plot rank.lode -o rank.svg
lode info rank.lode | grep 'rank 6'

lode convert rank.lode:rank rank.csv
lode pca data.npy --rank "$(cat rank.csv)" -o pca.lode

lode make normal --shape 300,80 -o noise.npy
lode rank noise.npy -o none.lode
lode info none.lode | grep 'rank 0'
