# Shrink a NetCDF file and read a slice of it in xarray
#
# Wanted: I have a model's NetCDF file, too large to keep. How small does it get, does every variable stay as good as I
# need it, and can I go on reading it in xarray?
#
# Learned: one command gives each variable its own error: the wind 1 % in all, the temperature a hundredth of a degree
# anywhere; coordinates, names and units stay exactly. `lode verify` proves it against the original. xarray opens the
# small file as it is, by names and coordinates, and decodes what is asked for.
python3 - <<'END'
import numpy as np, xarray
wind, temperature = np.load("data/winds_u.npy")[:24], np.load("data/sst_coads.npy")
xarray.Dataset({"UWND": (("month", "lat", "lon"), wind, {"units": "m/s"}),
                "SST": (("season", "y", "x"), temperature, {"units": "degC"})},
               coords={"lat": np.linspace(-90, 90, 73)}, attrs={"title": "a model"}).to_netcdf("model.nc")
END

lode compress model.nc --error 'UWND=1e-2,SST=0.01:max' -o model.lode
lode verify model.lode model.nc
test $(($(stat -c %s model.nc) / $(stat -c %s model.lode))) -ge 5 # a fifth of the size, or less

python3 - <<'END'
import xarray
small, whole = xarray.open_dataset("model.lode"), xarray.open_dataset("model.nc")
part = small["UWND"].sel(lat=0, method="nearest").isel(month=slice(0, 3))  # nothing else is decoded
print(part)
assert part.shape == (3, 144) and part.units == "m/s" and small.title == "a model"
assert abs(part - whole["UWND"].sel(lat=0).isel(month=slice(0, 3))).max() < 1
assert abs(small["SST"] - whole["SST"]).max() <= 0.01
assert (small["SST"].isnull() == whole["SST"].isnull()).all()  # land stays missing
assert (small["lat"] == whole["lat"]).all()
END

lode convert model.lode back.nc # the file back, for programs that do not know Lode
