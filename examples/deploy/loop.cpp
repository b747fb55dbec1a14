// Acts by an exported controller, with onnxruntime's C API alone.
//
//     g++ -std=c++17 -O2 loop.cpp -I INCLUDE -L LIB -lonnxruntime -o loop
//     ./loop controller.onnx < sensors.txt > actions.txt
//
// A line of sensors.txt is a step: the observation, then the reward of the step before, then 1 where an episode starts
// and else 0. A line of actions.txt is what the motors are told. INCLUDE holds onnxruntime_c_api.h, LIB the library:
// both are in the archives that onnxruntime publishes.

#include <onnxruntime_c_api.h>

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

const OrtApi* ort = OrtGetApiBase()->GetApi(ORT_API_VERSION);

void check(OrtStatus* status) {
    if (status == nullptr) return;
    std::fprintf(stderr, "%s\n", ort->GetErrorMessage(status));
    std::exit(1);
}

// A float32 tensor of one robot, whose numbers are ours.
struct Tensor {
    std::vector<int64_t> shape;
    std::vector<float> numbers;
    OrtValue* value = nullptr;
};

std::vector<float> numbers_in(const std::string& text) {
    std::vector<float> numbers;
    std::istringstream stream(text);
    for (float number; stream >> number;) numbers.push_back(number);
    return numbers;
}

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fprintf(stderr, "usage: loop controller.onnx\n");
        return 2;
    }
    OrtEnv* env;
    OrtSessionOptions* options;
    OrtSession* session;
    OrtAllocator* allocator;
    OrtMemoryInfo* memory;
    check(ort->CreateEnv(ORT_LOGGING_LEVEL_WARNING, "loop", &env));
    check(ort->CreateSessionOptions(&options));
    check(ort->SetIntraOpNumThreads(options, 1));  // a step is too small to be shared
    check(ort->CreateSession(env, argv[1], options, &session));
    check(ort->GetAllocatorWithDefaultOptions(&allocator));
    check(ort->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memory));

    // What goes in and what comes out has the same names as in the file; each robot has a row, and here is one.
    std::vector<std::string> inputs, outputs;
    std::map<std::string, Tensor> tensors;
    auto declare = [&](bool input, size_t index) {
        char* name;
        OrtTypeInfo* type;
        const OrtTensorTypeAndShapeInfo* about;
        size_t dimensions;
        check(input ? ort->SessionGetInputName(session, index, allocator, &name)
                    : ort->SessionGetOutputName(session, index, allocator, &name));
        check(input ? ort->SessionGetInputTypeInfo(session, index, &type)
                    : ort->SessionGetOutputTypeInfo(session, index, &type));
        check(ort->CastTypeInfoToTensorInfo(type, &about));
        check(ort->GetDimensionsCount(about, &dimensions));
        Tensor& tensor = tensors[name];
        tensor.shape.resize(dimensions);
        check(ort->GetDimensions(about, tensor.shape.data(), dimensions));
        tensor.shape[0] = 1;
        size_t size = 1;
        for (int64_t length : tensor.shape) size *= length;
        tensor.numbers.assign(size, 0.0f);
        check(ort->CreateTensorWithDataAsOrtValue(memory, tensor.numbers.data(), size * sizeof(float),
                                                  tensor.shape.data(), dimensions, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT,
                                                  &tensor.value));
        (input ? inputs : outputs).push_back(name);
        ort->ReleaseTypeInfo(type);
        check(ort->AllocatorFree(allocator, name));
    };
    size_t count;
    check(ort->SessionGetInputCount(session, &count));
    for (size_t index = 0; index < count; ++index) declare(true, index);
    check(ort->SessionGetOutputCount(session, &count));
    for (size_t index = 0; index < count; ++index) declare(false, index);

    // Of values that are told, those that this controller does not see are left out.
    auto tell = [&](const std::string& name, const std::vector<float>& numbers) {
        auto found = tensors.find(name);
        if (found == tensors.end()) return;
        if (found->second.numbers.size() != numbers.size()) {
            std::fprintf(stderr, "%s has %zu numbers, expected %zu\n", name.c_str(), numbers.size(),
                         found->second.numbers.size());
            std::exit(2);
        }
        std::copy(numbers.begin(), numbers.end(), found->second.numbers.begin());
    };

    OrtModelMetadata* metadata;
    char* initial_action;
    check(ort->SessionGetModelMetadata(session, &metadata));
    check(ort->ModelMetadataLookupCustomMetadataMap(metadata, allocator, "initial_action", &initial_action));
    std::string listed(initial_action);  // "[0.0, 0.0]"
    for (char& letter : listed)
        if (letter == '[' || letter == ',' || letter == ']') letter = ' ';
    tell("previous_action", numbers_in(listed));
    check(ort->AllocatorFree(allocator, initial_action));
    ort->ReleaseModelMetadata(metadata);

    std::vector<const char*> input_names, output_names;
    std::vector<const OrtValue*> input_values;
    std::vector<OrtValue*> output_values;
    for (const std::string& name : inputs) {
        input_names.push_back(name.c_str());
        input_values.push_back(tensors[name].value);
    }
    for (const std::string& name : outputs) {
        output_names.push_back(name.c_str());
        output_values.push_back(tensors[name].value);
    }

    for (std::string line; std::getline(std::cin, line);) {
        std::vector<float> sensors = numbers_in(line);
        if (sensors.size() < 2) {
            std::fprintf(stderr, "a line has %zu numbers, expected an observation, a reward and a start\n",
                         sensors.size());
            return 2;
        }
        tell("episode_start", {sensors[sensors.size() - 1]});
        tell("previous_reward", {sensors[sensors.size() - 2]});
        tell("obs", std::vector<float>(sensors.begin(), sensors.end() - 2));
        check(ort->Run(session, nullptr, input_names.data(), input_values.data(), inputs.size(), output_names.data(),
                       outputs.size(), output_values.data()));
        const std::vector<float>& action = tensors["action"].numbers;
        for (size_t index = 0; index < action.size(); ++index) std::printf(index ? " %.9g" : "%.9g", action[index]);
        std::printf("\n");
        std::fflush(stdout);
        // What it did and what it remembers go into the next step.
        tell("previous_action", action);
        for (const std::string& name : outputs)
            if (name != "action") tell(name.substr(5), tensors[name].numbers);  // next_hidden is hidden then
    }

    for (auto& [name, tensor] : tensors) ort->ReleaseValue(tensor.value);
    ort->ReleaseMemoryInfo(memory);
    ort->ReleaseSession(session);
    ort->ReleaseSessionOptions(options);
    ort->ReleaseEnv(env);
}
