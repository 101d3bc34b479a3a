# Tests that run as several ranks on this machine. Ranks talk through shared memory, mpirun and its ranks by loopback; the
# copy from process to process, which containers forbid, is off.
set(TERSE_MPIRUN ${MPIEXEC_EXECUTABLE} --allow-run-as-root --oversubscribe --bind-to none --mca btl self,vader
    --mca btl_vader_single_copy_mechanism none --mca oob_tcp_if_include lo -n)

foreach(program conformance misbehave)
  add_executable(dist_${program} ${CMAKE_CURRENT_SOURCE_DIR}/trainer/dist/${program}.cpp)
  target_link_libraries(dist_${program} PRIVATE terse_trainer GTest::gtest)
  terse_use_torch_pch(dist_${program})
endforeach()

add_test(NAME trainer/dist_conformance/alone COMMAND dist_conformance auto)
foreach(backend mpi staged)
  foreach(ranks 1 2 3 4)
    set(name trainer/dist_conformance/${backend}_${ranks})
    add_test(NAME ${name} COMMAND ${TERSE_MPIRUN} ${ranks} $<TARGET_FILE:dist_conformance> ${backend})
    set_tests_properties(${name} PROPERTIES TIMEOUT 300 PROCESSORS ${ranks} ENVIRONMENT GOMP_SPINCOUNT=2000)
  endforeach()
endforeach()

# failures_test.cpp, among the tests of trainer/, runs dist_misbehave.
string(JOIN " " launcher ${TERSE_MPIRUN})
target_compile_definitions(trainer_tests PRIVATE TERSE_MPIRUN="${launcher}" TERSE_MISBEHAVE="$<TARGET_FILE:dist_misbehave>")
add_dependencies(trainer_tests dist_misbehave)
