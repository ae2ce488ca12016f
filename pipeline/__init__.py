"""The logic, pure: values in, values out; time is an argument."""
