# Tests the transfer of weights between ranks. trainer/parallel/ranks.cmake defines TERSE_MPIRUN and memory_of_ranks.
add_executable(weight_sync_ranks ${CMAKE_CURRENT_SOURCE_DIR}/rl/async/weight_sync_ranks.cpp)
target_link_libraries(weight_sync_ranks PRIVATE terse_rl GTest::gtest)
terse_use_torch_pch(weight_sync_ranks)
foreach(learners_and_ranks "1;2" "1;3" "2;3" "3;4" "2;4")
  list(GET learners_and_ranks 0 learners)
  list(GET learners_and_ranks 1 ranks)
  set(name rl/weight_sync/${learners}_of_${ranks})
  add_test(NAME ${name} COMMAND ${TERSE_MPIRUN} ${ranks} $<TARGET_FILE:weight_sync_ranks> ${learners})
  set_tests_properties(${name} PROPERTIES TIMEOUT 300 PROCESSORS ${ranks} ENVIRONMENT GOMP_SPINCOUNT=2000)
endforeach()

memory_of_ranks(rl 600 1 4)
