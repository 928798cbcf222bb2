# Fill in a table of ratings
#
# Wanted: people rated a few films each. What would they give those that they have not seen, and how far can I trust it?
#
# Learned: ratings come as lines "person film rating" (.tns, counted from 1; a table with empty cells in .csv works as
# well). `lode complete` takes what is not there as missing, not as 0. `--rank auto` finds the rank and `--holdout` keeps
# ratings back, so that the certificate states the error on ratings it did not see. `lode query` asks for one of them.
python3 - <<'END'
import random
random.seed(1)
taste, genre = ([[random.gauss(0, 1) for _ in range(2)] for _ in range(n)] for n in (150, 60))
with open("ratings.tns", "w") as lines:
    for person in range(150):
        for film in random.sample(range(60), 20):
            liked = sum(t * g for t, g in zip(taste[person], genre[film]))
            lines.write(f"{person + 1} {film + 1} {min(5, max(1, 3 + liked + random.gauss(0, 0.2))):.1f}\n")
END
lode info ratings.tns

lode complete ratings.tns --rank auto --max-rank 6 --ridge 0.3 --holdout 0.1 -o model.lode
lode info model.lode | grep 'error .*kept back'
lode query model.lode '[0,0]' # person 1, film 1: places count from 0

lode invert model.lode -o filled.csv # the whole table
test "$(wc -l <filled.csv)" = 150
lode convert model.lode:heldout error.csv
awk '{ print "relative error on ratings kept back:", $1; exit !($1 < 0.25) }' error.csv
