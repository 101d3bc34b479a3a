// The entry point of the program `terse`.
#include "launch/cli.h"
#include "launch/startup.h"

int main(int argc, char** argv) {
  terse::launch::prepare_process(argv);
  terse::launch::end_process(terse::launch::run_program(argc, argv));
}
