// A kind of machine that runs are planned for: what one rank of it computes, holds and sends. configs/hardware/*.yaml
// describe machines; they are part of the program, and a user's own file is read in the same way.
//
// GB are 10^9 bytes, GiB 2^30. All rates are what a rank gets, not what the data sheet adds up to.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace terse::configs {

// A level of the interconnect, as alpha-beta models see it.
struct Link {
  double gbps = 0;  // GB/s: node: bus bandwidth of a ring among the ranks of a node; network: of one rank, one way
  double latency_us = 0;  // of one step of a ring
};

struct Hardware {
  std::string name;              // of the file, without folder and ending
  std::string summary;           // one line for people
  std::string device;            // cuda | cpu: what a rank computes on
  int64_t ranks_per_node = 0;    // when not said otherwise
  double memory_gib = 0;         // of one rank
  double reserved_gib = 0;       // of it, not for tensors: driver, libraries, buffers of collectives, fragments
  double tflops_bf16 = 0;        // dense peak of one rank
  double tflops_fp32 = 0;        // the same in fp32
  double train_efficiency = 0;   // share of that peak which forward and backward of one rank reach
  double memory_gbps = 0;        // GB/s that one rank reads and writes
  double operation_us = 0;       // between the starts of two operations that the host launches
  double decode_efficiency = 0;  // share of memory_gbps that decoding reaches
  Link node;
  Link network;
  double network_share = 0;  // share of network.gbps that collectives reach
  double overlap = 0;        // share of the time of computing that communication can hide behind
  double contention = 0;     // computing takes so many times as long while communication goes on
  double jitter = 0;         // standard deviation of one rank's step, as a share of the step
};

// `name_or_file`: the name of a machine that comes with the program (h100), or a file. Throws ConfigError with every
// mistake and its place: unknown and missing keys, types, ranges.
Hardware load_hardware(const std::string& name_or_file);
std::vector<std::string> hardware_names();  // that come with the program, ascending

// The files of configs/hardware, put into the program by configs/CMakeLists.txt.
struct HardwareFile {
  const char* name;
  const char* text;
};
extern const std::vector<HardwareFile> kHardwareFiles;

}  // namespace terse::configs
