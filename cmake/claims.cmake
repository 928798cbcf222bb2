# Claims: each holds with one seed, and fails when the paper's idea is turned off.
if(LODE_PYTHON AND TARGET lode_command)
  file(GLOB entries CONFIGURE_DEPENDS claims/*)
  foreach(path IN LISTS entries)
    get_filename_component(name ${path} NAME)
    if(IS_DIRECTORY ${path} OR name MATCHES "\\.")
      continue()
    endif()
    add_test(NAME claim-${name} COMMAND ${LODE_PYTHON} ${path} --seed 1)
    add_test(NAME claim-${name}-broken COMMAND ${LODE_PYTHON} ${path} --seed 1)
    set_tests_properties(claim-${name} claim-${name}-broken PROPERTIES LABELS claim TIMEOUT 120
      ENVIRONMENT "LODE=$<TARGET_FILE:lode_command>")
    set_tests_properties(claim-${name}-broken PROPERTIES WILL_FAIL TRUE
      ENVIRONMENT "LODE=$<TARGET_FILE:lode_command>;LODE_BREAK=${name}")
  endforeach()
  add_test(NAME claims-page COMMAND ${LODE_PYTHON} ${CMAKE_SOURCE_DIR}/claims/run.py --check-docs)
  set_tests_properties(claims-page PROPERTIES LABELS claim)
endif()
