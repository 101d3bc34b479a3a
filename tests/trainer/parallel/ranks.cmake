# Tests that run as several ranks on this machine. Ranks communicate through shared memory, and mpirun reaches them over
# loopback. Single-copy transfers between processes are off, because containers forbid them.
set(TERSE_MPIRUN ${MPIEXEC_EXECUTABLE} --allow-run-as-root --oversubscribe --bind-to none --mca btl self,vader
    --mca btl_vader_single_copy_mechanism none --mca oob_tcp_if_include lo)
if(TERSE_SANITIZE)
  # LeakSanitizer is off, because it would report leaks that are not those of terse.
  list(APPEND TERSE_MPIRUN -x ASAN_OPTIONS=detect_leaks=0)  # Open MPI's own, of plugins that are gone by then
endif()
list(APPEND TERSE_MPIRUN -n)

foreach(program conformance misbehave)
  add_executable(parallel_${program} ${CMAKE_CURRENT_SOURCE_DIR}/trainer/parallel/${program}.cpp)
  target_link_libraries(parallel_${program} PRIVATE terse_trainer GTest::gtest)
  terse_use_torch_pch(parallel_${program})
endforeach()

function(parallel_conformance backend device ranks)
  set(name trainer/parallel_conformance/${backend}_${device}_${ranks})
  add_test(NAME ${name} COMMAND ${TERSE_MPIRUN} ${ranks} $<TARGET_FILE:parallel_conformance> ${backend} ${device})
  set_tests_properties(${name} PROPERTIES TIMEOUT 300 PROCESSORS ${ranks} SKIP_RETURN_CODE 77 ENVIRONMENT GOMP_SPINCOUNT=2000)
endfunction()
add_test(NAME trainer/parallel_conformance/alone COMMAND parallel_conformance)
foreach(ranks 1 2 3 4)
  parallel_conformance(mpi cpu ${ranks})
  parallel_conformance(staged cpu ${ranks})
  if(TERSE_WITH_CUDA)
    parallel_conformance(staged cuda ${ranks})
    parallel_conformance(nccl cuda ${ranks})
  endif()
endforeach()

# failures_test.cpp belongs to trainer_tests and runs parallel_misbehave.
string(JOIN " " launcher ${TERSE_MPIRUN})
target_compile_definitions(trainer_tests PRIVATE TERSE_MPIRUN="${launcher}" TERSE_MISBEHAVE="$<TARGET_FILE:parallel_misbehave>")
add_dependencies(trainer_tests parallel_misbehave)
